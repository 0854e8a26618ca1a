import type { IncomingMessage, Server } from "node:http";
import type { Duplex } from "node:stream";
import { WebSocketServer, type WebSocket } from "ws";
import type { TokenVerifier } from "../auth";
import type { Deployment } from "../deployment";
import { Connection } from "./connection";
import { Sessions } from "./sessions";

const SYNC_PATH = /^\/api\/\d+\.\d+\.\d+[\w.-]*\/sync$/;
// Convex limits the arguments of a function to 16 MiB; a message is a little longer.
const MAX_MESSAGE_BYTES = 17 * 1024 * 1024;
// A client reconnects if it hears nothing for 30 seconds (60 in some versions).
const PING_INTERVAL_MS = 15_000;
// How soon a commit of an HTTP action or a scheduled function is noticed.
const POLL_INTERVAL_MS = 20;

/** Serves Convex's sync protocol over WebSocket. */
export class SyncServer {
  readonly #sockets = new WebSocketServer({ noServer: true, maxPayload: MAX_MESSAGE_BYTES });
  readonly #connections = new Map<WebSocket, Connection>();
  readonly #sessions = new Sessions();
  readonly #timers: NodeJS.Timeout[];
  #lastCommit = 0n;
  #polling = false;

  constructor(
    private readonly deployment: Deployment,
    private readonly verifier: TokenVerifier,
  ) {
    this.#timers = [
      setInterval(() => this.#ping(), PING_INTERVAL_MS).unref(),
      setInterval(() => void this.#poll(), POLL_INTERVAL_MS).unref(),
    ];
  }

  /** Takes over the WebSocket upgrades of an HTTP server. */
  attach(server: Server): void {
    server.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      const { pathname } = new URL(request.url ?? "/", "http://localhost");
      if (!SYNC_PATH.test(pathname)) {
        socket.end("HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
        return;
      }
      this.#sockets.handleUpgrade(request, socket, head, (ws) => this.#accept(ws));
    });
  }

  /** Breaks all connections without a close frame, as a lost network does. Clients connect again by themselves. */
  disconnectAll(): void {
    for (const socket of this.#connections.keys()) socket.terminate();
  }

  close(): void {
    for (const timer of this.#timers) clearInterval(timer);
    this.disconnectAll();
    this.#sockets.close();
  }

  #accept(socket: WebSocket): void {
    const connection = new Connection({
      deployment: this.deployment,
      sessions: this.#sessions,
      verify: (token) => this.verifier.verify(token),
      send: (text) => send(socket, text),
      close: (reason) => socket.close(1011, reason),
    });
    this.#connections.set(socket, connection);
    socket.on("message", (data: Buffer) => connection.receive(data.toString("utf8")));
    // Errors are also followed by "close"; without a listener they would end the process.
    socket.on("error", () => undefined);
    socket.on("close", () => {
      connection.closed();
      this.#connections.delete(socket);
    });
  }

  #ping(): void {
    for (const socket of this.#connections.keys()) void send(socket, JSON.stringify({ type: "Ping" }));
  }

  async #poll(): Promise<void> {
    if (this.#polling || this.#connections.size === 0) return;
    this.#polling = true;
    try {
      const commit = await this.deployment.lastCommit();
      if (commit !== this.#lastCommit) for (const connection of this.#connections.values()) connection.refresh();
      this.#lastCommit = commit;
    } finally {
      this.#polling = false;
    }
  }
}

/** Sends a message; resolves when it is written or the socket is closed. */
function send(socket: WebSocket, text: string): Promise<void> {
  return new Promise((resolve) => socket.send(text, () => resolve()));
}
