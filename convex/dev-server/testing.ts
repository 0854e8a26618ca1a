import path from "node:path";
import { ConvexClient } from "convex/browser";
import { importJWK, SignJWT, type JWK } from "jose";
import { afterAll, beforeAll, onTestFinished, vi } from "vitest";
import WebSocket from "ws";
import { startDevServer, type DevServer, type DevServerOptions } from "./index";

const FIXTURE = { functions: path.join(import.meta.dirname, "fixture/convex"), components: {} };

/** Starts the fixture app; stops it at the end of the test. */
export async function startFixture(options: DevServerOptions = {}): Promise<DevServer> {
  const server = await startDevServer({ app: FIXTURE, ...options });
  onTestFinished(() => server.close());
  return server;
}

/** Starts the fixture app once for the tests of a `describe` or a file; returns how to get it. */
export function sharedFixture(options: () => DevServerOptions = () => ({})): () => DevServer {
  let server: DevServer;
  beforeAll(async () => {
    server = await startDevServer({ app: FIXTURE, ...options() });
  });
  afterAll(() => server.close());
  return () => server;
}

/** Connects the client of the `convex` package; closes it at the end of the test. */
export function connect(server: DevServer): ConvexClient {
  const client = new ConvexClient(server.url, {
    webSocketConstructor: WebSocket as unknown as typeof globalThis.WebSocket,
    logger: false,
  });
  onTestFinished(() => client.close());
  return client;
}

/** Signs a token that the fixture's auth.config.ts accepts, unless `claims` say otherwise. */
export async function signToken(claims: Record<string, unknown> = {}): Promise<string> {
  const jwk = JSON.parse(process.env.EXAMPLE_AUTH_KEY ?? "null") as JWK;
  const now = Math.floor(Date.now() / 1000);
  const valid = { iss: "https://fixture.example.com", aud: "fixture", sub: "ada", iat: now, exp: now + 3600 };
  return new SignJWT({ ...valid, ...claims })
    .setProtectedHeader({ alg: "ES256", typ: "JWT", kid: jwk.kid })
    .sign(await importJWK(jwk, "ES256"));
}

/** Makes `notes.addSlowly` wait. `arrived` resolves when a run waits; `runs` counts them. */
export function closeGate() {
  const gate = { runs: 0, arrived: Promise.resolve(), open: () => undefined as void };
  const opened = new Promise<void>((resolve) => (gate.open = resolve));
  gate.arrived = new Promise((resolve) => {
    const arrived = () => {
      gate.runs += 1;
      resolve();
    };
    vi.stubGlobal("fixtureGate", { arrived, opened });
  });
  onTestFinished(() => void vi.unstubAllGlobals());
  return gate;
}

/** A message of the sync protocol. */
export type Message = Record<string, unknown> & { type: string };

/** A client that speaks the sync protocol message by message. */
export class RawClient {
  readonly received: Message[] = [];
  closeCode: number | undefined;

  private constructor(private readonly socket: WebSocket) {
    socket.on("message", (data: Buffer) => this.received.push(JSON.parse(data.toString()) as Message));
    socket.on("close", (code) => (this.closeCode = code));
  }

  /** Connects, and sends Connect unless `session` is `null`. */
  static async connect(server: DevServer, session: object | null = {}): Promise<RawClient> {
    const socket = new WebSocket(`${server.url.replace("http", "ws")}/api/1.48.0/sync`);
    await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject));
    onTestFinished(() => socket.terminate());
    const client = new RawClient(socket);
    const connect = { type: "Connect", sessionId: crypto.randomUUID(), connectionCount: 0, lastCloseReason: null };
    if (session !== null) client.send({ ...connect, clientTs: 0, ...session });
    return client;
  }

  send(message: object | string): void {
    this.socket.send(typeof message === "string" ? message : JSON.stringify(message));
  }

  /** Waits for a message of a type, and takes it. */
  async next(type: string): Promise<Message> {
    return vi.waitFor(
      () => {
        const index = this.received.findIndex((message) => message.type === type);
        if (index < 0) throw new Error(`no ${type} among ${JSON.stringify(this.received)}`);
        return this.received.splice(0, index + 1)[index] as Message;
      },
      { timeout: 5000, interval: 5 },
    );
  }

  async closed(): Promise<number> {
    return vi.waitFor(
      () => {
        if (this.closeCode === undefined) throw new Error("The connection is open.");
        return this.closeCode;
      },
      { timeout: 5000, interval: 5 },
    );
  }
}
