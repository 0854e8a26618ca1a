import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";

/** A call from Gavel to Convex, as it was sent. */
export interface Call {
  path: string;
  headers: Record<string, string>;
  body: string;
  /** The status with which Convex answered; missing if the call has not been forwarded. */
  status?: number;
}

/** What the proxy does with a call: before it is forwarded, and with the answer. */
type Rule = (call: Call, forward: () => Promise<Response>) => Promise<Response | "drop">;

/** A rule that is active until it is ended. */
export interface ActiveRule {
  /** Calls that the rule has seen. */
  calls: Call[];
  /** Resolves when the rule has seen this many calls. */
  seen: (count: number) => Promise<void>;
  end: () => void;
}

/**
 * A proxy between Gavel and the HTTP actions of the app. It records each call, and can hold calls back, refuse them, or
 * lose their answers.
 */
export class RecordingProxy {
  readonly calls: Call[] = [];
  /** The site URL of the app; until it is set, the proxy answers 503. */
  target: string | undefined;
  private readonly rules: { path: RegExp; apply: Rule }[] = [];
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

  /** Holds calls to these paths back until the rule is ended; then forwards them. */
  hold(path: RegExp): ActiveRule {
    let open: () => void = () => undefined;
    const opened = new Promise<void>((resolve) => (open = resolve));
    return this.activate(path, async (_, forward) => opened.then(forward), open);
  }

  /** Answers calls to these paths with this status instead of forwarding them, until the rule is ended. */
  refuse(path: RegExp, status: number): ActiveRule {
    return this.activate(path, () => Promise.resolve(new Response("refused by a test", { status })));
  }

  /** Forwards calls to these paths and closes the connection without their answers, until the rule is ended. */
  loseAnswers(path: RegExp): ActiveRule {
    return this.activate(path, async (_, forward) => {
      await forward();
      return "drop";
    });
  }

  /** Resolves with the first recorded call that Convex has answered and that matches, past or future. */
  async answered(matches: (call: Call) => boolean): Promise<Call> {
    const find = () => this.calls.find((call) => call.status !== undefined && matches(call));
    await this.until(() => find() !== undefined);
    return find() as Call;
  }

  async close(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private activate(path: RegExp, apply: Rule, onEnd: () => void = () => undefined): ActiveRule {
    const calls: Call[] = [];
    const rule = {
      path,
      apply: (call: Call, forward: () => Promise<Response>) => {
        calls.push(call);
        this.changed();
        return apply(call, forward);
      },
    };
    this.rules.push(rule);
    const end = () => {
      this.rules.splice(this.rules.indexOf(rule), 1);
      onEnd();
    };
    return { calls, end, seen: (count) => this.until(() => calls.length >= count) };
  }

  private async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const call: Call = {
      path: request.url ?? "/",
      headers: Object.fromEntries(Object.entries(request.headers).map(([name, value]) => [name, String(value)])),
      body: await text(request),
    };
    this.calls.push(call);
    const rule = this.rules.find(({ path }) => path.test(call.path));
    const forward = () => this.forward(call);
    const answer = await (rule ? rule.apply(call, forward) : forward());
    if (answer === "drop") {
      response.destroy();
    } else {
      // The headers that Gavel reads. Those of the connection are the proxy's own.
      const headers = ["content-type", "retry-after"].flatMap((name) => {
        const value = answer.headers.get(name);
        return value === null ? [] : [[name, value] as const];
      });
      response.writeHead(answer.status, Object.fromEntries(headers));
      response.end(Buffer.from(await answer.arrayBuffer()));
    }
  }

  private async forward(call: Call): Promise<Response> {
    if (this.target === undefined) return new Response("the app has not been started", { status: 503 });
    const response = await send(this.target, call);
    call.status = response.status;
    this.changed();
    return response;
  }

  private changed(): void {
    this.watchers.forEach((watcher) => watcher());
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
