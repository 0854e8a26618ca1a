import { Buffer } from "node:buffer";
import type { IncomingMessage, ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import type { UserIdentity } from "convex/server";
import type { TokenVerifier } from "./auth";
import type { Deployment } from "./deployment";
import { describeFailure } from "./errors";
import type { Faults } from "./faults";

// Convex's limit on the body of a request to an HTTP action, and on its answer.
const MAX_BODY_BYTES = 20 * 1024 * 1024;

/** Serves the HTTP actions of the app, as `https://NAME.convex.site` does. */
export class HttpActions {
  constructor(
    private readonly deployment: Deployment,
    private readonly verifier: TokenVerifier,
    private readonly faults: Faults,
  ) {}

  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url?.startsWith("/") ? request.url : "/";
    const fault = this.faults.take(path);
    if (fault?.delayMs !== undefined) await sleep(fault.delayMs, undefined, { ref: false });
    if (request.socket.destroyed) return;
    if (fault?.status !== undefined) return plain(response, fault.status, "Injected fault");
    const body = await readBody(request);
    if (body === null) return plain(response, 413, "The request body is larger than 20 MiB");
    const answer = await this.#run(request, path, body);
    if (fault?.dropAnswer) request.socket.resetAndDestroy();
    else if (answer === null) plain(response, 404, "No matching routes found");
    else await write(response, answer);
  }

  async #run(request: IncomingMessage, path: string, body: Buffer): Promise<Response | null> {
    const method = request.method ?? "GET";
    const hasBody = method !== "GET" && method !== "HEAD" && body.length > 0;
    const init: RequestInit = {
      method,
      headers: headersOf(request),
      ...(hasBody ? { body: new Uint8Array(body) } : {}),
    };
    try {
      return await this.deployment.fetch(await this.#identify(request), path, init);
    } catch (error) {
      console.error(`The HTTP action for ${method} ${path} failed:`, error);
      return Response.json({ code: describeFailure(error).message }, { status: 500 });
    }
  }

  /** Returns the user of a bearer token, or `null`: an HTTP action may give the header another meaning. */
  async #identify(request: IncomingMessage): Promise<UserIdentity | null> {
    const token = /^Bearer (.+)$/i.exec(request.headers.authorization ?? "")?.[1];
    if (token === undefined) return null;
    try {
      return (await this.verifier.verify(token)).identity;
    } catch {
      return null;
    }
  }
}

/** Reads the body; returns `null` if it is too large. */
async function readBody(request: IncomingMessage): Promise<Buffer | null> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    // Reads on to the end, so that the client gets the answer instead of a broken connection.
    if (length <= MAX_BODY_BYTES) chunks.push(chunk);
  }
  return length <= MAX_BODY_BYTES ? Buffer.concat(chunks) : null;
}

function headersOf(request: IncomingMessage): [string, string][] {
  return Object.entries(request.headersDistinct).flatMap(([name, values]) =>
    (values ?? []).map<[string, string]>((value) => [name, value]),
  );
}

async function write(response: ServerResponse, answer: Response): Promise<void> {
  for (const [name, value] of answer.headers) if (name !== "set-cookie") response.setHeader(name, value);
  const cookies = answer.headers.getSetCookie();
  if (cookies.length > 0) response.setHeader("set-cookie", cookies);
  const body = Buffer.from(await answer.arrayBuffer());
  response.writeHead(answer.status);
  response.end(body);
}

function plain(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { "content-type": "text/plain; charset=utf-8" });
  response.end(text);
}
