import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { onTestFinished } from "vitest";

/** A call from Gavel to Convex, as it was sent. */
export interface Call {
  path: string;
  headers: Record<string, string>;
  body: string;
  /** The status with which Convex answered; missing if the call has not been forwarded. */
  status?: number;
}

/** Calls that the proxy holds back. */
export interface Hold {
  /** Resolves with the first call that is held back. */
  first: Promise<Call>;
  /** Forwards the calls, and holds back no more. */
  release: () => void;
}

/** A proxy between Gavel and the HTTP actions of the app. It records each call, and can hold calls back. */
export class RecordingProxy {
  readonly calls: Call[] = [];
  /** The site URL of the app; until it is set, the proxy answers 503. */
  target: string | undefined;
  private holds: { path: RegExp; arrive: (call: Call) => Promise<void> }[] = [];
  private readonly watchers = new Set<() => void>();

  private constructor(private readonly server: Server) {}

  static async start(): Promise<RecordingProxy> {
    const server = createServer();
    const proxy = new RecordingProxy(server);
    server.on("request", (request: IncomingMessage, response: ServerResponse) => {
      proxy.handle(request, response).catch(() => response.destroy());
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return proxy;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  /** Holds calls to these paths back until they are released, at the latest at the end of the test. */
  hold(path: RegExp): Hold {
    let arrived: (call: Call) => void = () => undefined;
    const first = new Promise<Call>((resolve) => (arrived = resolve));
    let open: () => void = () => undefined;
    const opened = new Promise<void>((resolve) => (open = resolve));
    const hold = {
      path,
      arrive: (call: Call) => {
        arrived(call);
        return opened;
      },
    };
    this.holds.push(hold);
    const release = () => {
      this.holds = this.holds.filter((each) => each !== hold);
      open();
    };
    onTestFinished(release);
    return { first, release };
  }

  /** Resolves with the first recorded call that the app has answered and that matches, or with a later one. */
  async answered(matches: (call: Call) => boolean, count = 1): Promise<Call> {
    const find = () => this.calls.filter((call) => call.status !== undefined && matches(call))[count - 1];
    await this.until(() => find() !== undefined);
    return find() as Call;
  }

  /** Forgets the recorded calls. */
  forget(): void {
    this.calls.length = 0;
  }

  async close(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const call: Call = {
      path: request.url ?? "/",
      headers: Object.fromEntries(Object.entries(request.headers).map(([name, value]) => [name, String(value)])),
      body: await text(request),
    };
    this.calls.push(call);
    await this.holds.find(({ path }) => path.test(call.path))?.arrive(call);
    const answer = await this.forward(call);
    // The headers that Gavel reads. Those of the connection are the proxy's own.
    for (const name of ["content-type", "retry-after"]) {
      const value = answer.headers.get(name);
      if (value !== null) response.setHeader(name, value);
    }
    response.writeHead(answer.status);
    response.end(Buffer.from(await answer.arrayBuffer()));
  }

  private async forward(call: Call): Promise<Response> {
    if (this.target === undefined) return new Response("the app has not been started", { status: 503 });
    const response = await send(this.target, call);
    call.status = response.status;
    this.watchers.forEach((watcher) => watcher());
    return response;
  }

  private async until(condition: () => boolean): Promise<void> {
    if (condition()) return;
    await new Promise<void>((resolve) => {
      const watcher = () => {
        if (!condition()) return;
        this.watchers.delete(watcher);
        resolve();
      };
      this.watchers.add(watcher);
    });
  }
}

/** Sends a call to the app at `siteUrl`, as it was recorded. */
export function send(siteUrl: string, call: Pick<Call, "path" | "headers" | "body">): Promise<Response> {
  const { host: _, connection: __, "content-length": ___, ...headers } = call.headers;
  return fetch(siteUrl + call.path, { method: "POST", headers, body: call.body });
}
