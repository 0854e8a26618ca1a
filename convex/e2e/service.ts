import { spawn, type ChildProcess } from "node:child_process";
import { createInterface } from "node:readline";

/** How long a service may take to start, to become ready or to stop on a busy machine, in milliseconds. */
const START_STOP_TIMEOUT_MS = 60_000;
/** How many lines of its log a failure shows. */
const LOG_TAIL = 30;

/** How to start a service. */
export interface ServiceOptions {
  /** Name in messages, such as `judge`. */
  name: string;
  program: string;
  args?: (port: number) => string[];
  env?: Record<string, string>;
  /** Returns the port if this line of the log says that the service listens on it. */
  listeningPort: (line: string) => number | undefined;
}

const running = new Set<ChildProcess>();
// If the test process ends early, its services end with it. vitest ends it by SIGTERM.
process.on("exit", () => running.forEach((child) => child.kill("SIGKILL")));
process.once("SIGTERM", () => process.exit(143));

/** A service in a separate process. It keeps its port over restarts. */
export class Service {
  readonly log: string[] = [];
  port = 0;
  private child: ChildProcess | undefined;
  private exited: Promise<string> = Promise.resolve("has not been started");

  private constructor(private readonly options: ServiceOptions) {}

  /** Starts a service and waits until it listens. Fails with the end of its log if it exits before. */
  static async start(options: ServiceOptions): Promise<Service> {
    const service = new Service(options);
    await service.start();
    return service;
  }

  get name(): string {
    return this.options.name;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Starts the process again after {@link kill} or {@link stop}. */
  async start(): Promise<void> {
    const { program, args, env, listeningPort } = this.options;
    const child = spawn(program, args?.(this.port) ?? [], {
      env: { PATH: process.env.PATH, ...env, PORT: String(this.port) },
      stdio: ["ignore", "pipe", "pipe"],
    });
    running.add(child);
    this.child = child;
    this.exited = new Promise((resolve) => {
      child.once("error", (error) => resolve(`cannot be started: ${error.message}`));
      child.once("close", (code, signal) => {
        running.delete(child);
        resolve(code === null ? `ended by ${signal}` : `exited with code ${code}`);
      });
    });
    const listening = new Promise<number>((resolve) => {
      for (const stream of [child.stdout, child.stderr]) {
        createInterface({ input: stream }).on("line", (line) => {
          this.log.push(line);
          const port = listeningPort(line);
          if (port !== undefined) resolve(port);
        });
      }
    });
    const early = this.exited.then((how) => Promise.reject(new Error(`${this.name} ${how}${this.logTail()}`)));
    this.port = await this.inTime(Promise.race([listening, early]), "does not listen");
  }

  /** Waits until `/readyz` answers 200. */
  async ready(): Promise<void> {
    const deadline = Date.now() + START_STOP_TIMEOUT_MS;
    let problem = "";
    while (Date.now() < deadline) {
      const response = await fetch(`${this.url}/readyz`).catch(() => undefined);
      if (response?.status === 200) return;
      problem = response ? await response.text() : "no answer";
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error(`${this.name} is not ready: ${problem}${this.logTail()}`);
  }

  /** Sends SIGKILL and waits for the end of the process. */
  async kill(): Promise<void> {
    this.child?.kill("SIGKILL");
    await this.exited;
  }

  /** Sends SIGTERM and waits for the exit. Fails unless the exit code is 0. */
  async stop(): Promise<void> {
    this.child?.kill("SIGTERM");
    try {
      const how = await this.inTime(this.exited, "does not exit on SIGTERM");
      if (how !== "exited with code 0") throw new Error(`${this.name} ${how} on SIGTERM${this.logTail()}`);
    } finally {
      await this.kill();
    }
  }

  /** The end of the log, for a message. */
  logTail(): string {
    return `; the end of its log:\n${this.log.slice(-LOG_TAIL).join("\n")}`;
  }

  private async inTime<T>(event: Promise<T>, problem: string): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    const timeout = new Promise<never>((_, reject) => {
      const fail = () => reject(new Error(`${this.name} ${problem}${this.logTail()}`));
      timer = setTimeout(fail, START_STOP_TIMEOUT_MS);
    });
    return await Promise.race([event, timeout]).finally(() => clearTimeout(timer));
  }
}
