import { env } from "./_generated/server.js";
import { reasons, type Reason } from "./reasons.js";

const TIMEOUT_MS = 5_000;
/** Enough of an answer to recognize the server that gave it. */
const QUOTED_CHARACTERS = 300;

/** An answer that another attempt would not change. */
export type Answer = { status: number; text: string } | { reason: Reason };

/**
 * Calls the ingress of Gavel with the key. Throws if another attempt may succeed: no answer within 5 s, 408, 425, 429
 * or 5xx.
 */
export async function callGavel(
  path: string,
  init: RequestInit & { headers: Record<string, string> },
): Promise<Answer> {
  const url = ingressUrl(path);
  if ("reason" in url) {
    return url;
  }
  const key = env.GAVEL_KEY?.trim();
  const headers = key ? { ...init.headers, authorization: `Bearer ${key}` } : init.headers;
  const { status, text } = await fetchText(url, { ...init, headers });
  if (status === 408 || status === 425 || status === 429 || status >= 500) {
    throw new Error(`Gavel at ${url.origin} answered ${status}: ${quote(text)}`);
  }
  if (status === 401 || status === 403) {
    return { reason: reasons.unauthorized(Boolean(key)) };
  }
  if (status === 413 || (status === 400 && text.includes("MAX_SOURCE_BYTES"))) {
    return { reason: reasons.tooLarge(status, quote(text)) };
  }
  return { status, text: status < 300 ? text : quote(text) };
}

function ingressUrl(path: string): URL | { reason: Reason } {
  const base = env.GAVEL_URL?.trim();
  if (!base) {
    return { reason: reasons.noUrl() };
  }
  try {
    const url = new URL(path, base.endsWith("/") ? base : `${base}/`);
    return /^https?:$/.test(url.protocol) ? url : { reason: reasons.badUrl(base) };
  } catch {
    return { reason: reasons.badUrl(base) };
  }
}

async function fetchText(url: URL, init: RequestInit): Promise<{ status: number; text: string }> {
  const controller = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  // The signal alone would not do: `fetch` ignores it in the default runtime of older Convex backends.
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`no answer within ${TIMEOUT_MS / 1_000} s`));
      controller.abort();
    }, TIMEOUT_MS);
  });
  try {
    return await Promise.race([readAnswer(url, { ...init, signal: controller.signal }), timeout]);
  } catch (error) {
    const failure = error instanceof Error ? error.message : String(error);
    throw new Error(`cannot call Gavel at ${url.origin}: ${failure}.`, { cause: error });
  } finally {
    clearTimeout(timer);
  }
}

async function readAnswer(url: URL, init: RequestInit): Promise<{ status: number; text: string }> {
  const response = await fetch(url, init);
  return { status: response.status, text: await response.text() };
}

function quote(text: string): string {
  const line = text.replace(/\s+/g, " ").trim();
  return line.length > QUOTED_CHARACTERS ? `${line.slice(0, QUOTED_CHARACTERS)}…` : line || "(empty)";
}
