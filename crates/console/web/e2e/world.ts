import { randomBytes } from "node:crypto";
import { join, resolve } from "node:path";
import { connect } from "@nats-io/transport-node";
import type { Browser, BrowserContextOptions } from "playwright-core";
import { Pipeline } from "../../../../convex/e2e/pipeline";
import { Service } from "../../../../convex/e2e/service";
import { FaultProxy } from "./fault-proxy";
import { launchBrowser, Operator } from "./operator";

const ROOT = resolve(import.meta.dirname, "../../../..");
const GAVEL = join(process.env.GAVEL_BIN_DIR ?? join(ROOT, "target/debug"), "gavel");

/** Python 3 in Judge0's numbering. */
const PYTHON = 71;

/** Programs for the sample question "sum", in Python. */
export const RIGHT = "import sys\nprint(sum(int(each) for each in sys.stdin.read().split()))\n";
export const WRONG = "print(-1)\n";
/** Runs for two seconds, so that a test sees it run. */
export const SLOW = `import time\ntime.sleep(1.5)\n${RIGHT}`;

/** Everything from the browser to the sandbox: console, services, mock Convex with faults, each in a separate process. */
export class World {
  private constructor(
    readonly key: string,
    readonly convex: FaultProxy,
    readonly pipeline: Pipeline,
    readonly console: Service,
    private readonly mockConvex: Service,
    private readonly browser: Browser,
  ) {}

  /** Starts everything. */
  static async start(): Promise<World> {
    const key = randomBytes(24).toString("hex");
    const mockConvex = await startMockConvex();
    const convex = await FaultProxy.start(mockConvex.url);
    const pipeline = await Pipeline.start(convex.url);
    const console = await startConsole(pipeline, key);
    return new World(key, convex, pipeline, console, mockConvex, await launchBrowser());
  }

  /** Starts another console, without a key. */
  async readOnlyConsole(): Promise<Service> {
    return await startConsole(this.pipeline);
  }

  /** Opens a page as a new operator, until the end of the test. */
  async open(path: string, options?: BrowserContextOptions): Promise<Operator> {
    return await this.openAt(this.console, path, options);
  }

  /** The same at another console. */
  async openAt(console: Service, path: string, options?: BrowserContextOptions): Promise<Operator> {
    return await Operator.open(this.browser, console.url, path, options);
  }

  /** Posts a submission as the app does. Returns its id. */
  async submit(
    sourceCode: string,
    questionId = "sum",
    languageId = PYTHON,
    submissionKind = "standard",
  ): Promise<string> {
    const submissionId = `k97${randomBytes(14).toString("hex")}`;
    const url = `${this.pipeline.ingress.url}/v1/judge-question`;
    const request: RequestInit = {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${this.pipeline.secrets.ingressKey}` },
      body: JSON.stringify({ questionId, submissionId, languageId, sourceCode, submissionKind }),
    };
    // The ingress closes idle connections, maybe while a request is sent. To send the same id again is safe.
    const response = await fetch(url, request).catch(() => fetch(url, request));
    if (response.status !== 202) throw new Error(`the ingress answered ${response.status}: ${await response.text()}`);
    return submissionId;
  }

  /** Submits and waits until Convex has the verdict, or until it is a dead letter. */
  async judged(sourceCode: string, questionId?: string): Promise<string> {
    const id = await this.submit(sourceCode, questionId);
    await this.ended(id);
    return id;
  }

  /** Waits until the last generation of a submission has ended. */
  async ended(id: string, generations = 1): Promise<void> {
    const isEnded = async () => {
      const response = await fetch(`${this.console.url}/api/submissions/${id}`);
      if (!response.ok) return false;
      const { generations: known, deadLetters } = (await response.json()) as {
        generations: { ended: boolean }[];
        deadLetters: unknown[];
      };
      return known.length >= generations && (known.at(-1)?.ended === true || deadLetters.length > 0);
    };
    for (const deadline = Date.now() + 60_000; Date.now() < deadline;) {
      if (await isEnded()) return;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw new Error(`submission ${id} has not ended: ${this.pipeline.warnings().join("\n")}`);
  }

  /** A connection to the nats-server. */
  async nats() {
    return await connect({ servers: `127.0.0.1:${this.pipeline.nats.port}` });
  }

  async close(): Promise<void> {
    await this.browser.close();
    await this.console.stop();
    await this.pipeline.close();
    await this.convex.close();
    await this.mockConvex.kill();
  }
}

function startMockConvex(): Promise<Service> {
  return Service.start({
    name: "mock-convex",
    program: GAVEL,
    args: (port) => ["mock-convex", "--listen", `127.0.0.1:${port}`],
    listeningPort: (line) => portOf(/mock Convex listens on http:\/\/127\.0\.0\.1:(\d+)/, line),
  });
}

function startConsole(pipeline: Pipeline, key?: string): Promise<Service> {
  return Service.start({
    name: "console",
    program: GAVEL,
    args: (port) => ["console", "--listen", `127.0.0.1:${port}`],
    env: {
      NATS_URL: `nats://127.0.0.1:${pipeline.nats.port}`,
      LOG_FORMAT: "json",
      ...(key !== undefined && { CONSOLE_KEY: key }),
    },
    listeningPort: (line) =>
      line.includes('"listening"') ? portOf(/"address":"127\.0\.0\.1:(\d+)"/, line) : undefined,
  });
}

function portOf(pattern: RegExp, line: string): number | undefined {
  const port = pattern.exec(line)?.[1];
  return port === undefined ? undefined : Number(port);
}
