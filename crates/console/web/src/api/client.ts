import type { ApiError } from "./types";
import { currentKey } from "./key";

/** The console refused a request or did not answer. */
export class RequestProblem extends Error {
  constructor(
    message: string,
    /** The HTTP status; 0 if there was no answer. */
    readonly status: number,
    readonly remedy?: string,
  ) {
    super(message);
  }
}

/** Reads JSON from a path below /api. Fails with a {@link RequestProblem}. */
export async function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  return await request<T>(path, { signal: signal ?? null });
}

/** Reads JSON that only requests with the key get. */
export async function getWithKey<T>(path: string, key = currentKey()): Promise<T> {
  return await request<T>(path, { headers: authorization(key) });
}

/** Asks for a change, with the key. */
export async function post<T>(path: string, body: unknown): Promise<T> {
  const headers = { "content-type": "application/json", ...authorization(currentKey()) };
  return await request<T>(path, { method: "POST", headers, body: JSON.stringify(body) });
}

function authorization(key: string | undefined): Record<string, string> {
  return key === undefined ? {} : { authorization: `Bearer ${key}` };
}

async function request<T>(path: string, init: RequestInit): Promise<T> {
  let response: Response;
  try {
    response = await fetch(path, { cache: "no-store", credentials: "omit", redirect: "error", ...init });
  } catch (error) {
    if (init.signal?.aborted) throw error;
    throw new RequestProblem("The console does not answer.", 0, "Check that gavel console still runs.");
  }
  if (response.ok) return (await response.json()) as T;
  const { error, remedy } = await problemOf(response);
  throw new RequestProblem(error, response.status, remedy);
}

async function problemOf(response: Response): Promise<ApiError> {
  try {
    return (await response.json()) as ApiError;
  } catch {
    return { error: `The console answered with HTTP status ${response.status}.` };
  }
}

/** Builds a query string without the empty values. */
export function query(values: Record<string, string | number | boolean | undefined>): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) {
    if (value !== undefined && value !== "" && value !== false) parameters.set(name, String(value));
  }
  const text = parameters.toString();
  return text === "" ? "" : `?${text}`;
}
