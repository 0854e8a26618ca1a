import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** Answers a request. A rejection means that the client has disconnected. */
export type Handler = (request: IncomingMessage, response: ServerResponse) => Promise<void>;

/** An HTTP server on a port of the loopback interface. Answers 503 until it has a handler. */
export class Port {
  handler: Handler | undefined;

  private constructor(
    readonly server: Server,
    /** The address, e.g. `http://127.0.0.1:3210`. */
    readonly url: string,
  ) {}

  /** Opens a port; 0 picks a free one. `log` is called with one line for each request. */
  static async open(port: number, log?: (line: string) => void): Promise<Port> {
    const server = createServer();
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(port, "127.0.0.1", () => resolve());
    });
    const opened = new Port(server, `http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    server.on("request", (request, response) => opened.#answer(request, response, log));
    return opened;
  }

  /** Closes the port and its connections. May be called again. */
  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.server.close(resolve));
    this.server.closeAllConnections();
    await closed;
  }

  #answer(request: IncomingMessage, response: ServerResponse, log?: (line: string) => void): void {
    response.on("close", () => log?.(`${request.method} ${request.url} ${response.statusCode}`));
    if (this.handler === undefined) {
      response.writeHead(503, { "retry-after": "1" }).end();
      return;
    }
    this.handler(request, response).catch((error: unknown) => {
      // The client disconnected in the middle of its request.
      log?.(`${request.method} ${request.url} failed: ${String(error)}`);
      response.destroy();
    });
  }
}
