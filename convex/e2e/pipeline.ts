import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { Service } from "./service";

const ROOT = resolve(import.meta.dirname, "../..");
const BIN_DIR = process.env.GAVEL_BIN_DIR ?? join(ROOT, "target/debug");
const NATS_SERVER = process.env.NATS_SERVER ?? join(ROOT, ".tools/bin/nats-server");

/** Shorter than the defaults, so that a test of a failure does not take long. */
const SETTINGS = {
  LOG_FORMAT: "json",
  ACK_WAIT_MS: "2000",
  SHUTDOWN_GRACE_MS: "3000",
  RUNNING_TIMEOUT_MS: "2000",
  RUNNING_LINGER_MS: "1000",
  CONVEX_ORDER: "guarded",
};

/** The secrets that the pipeline and the app share. */
export interface Secrets {
  /** One of INGRESS_KEYS. */
  ingressKey: string;
  /** CONVEX_TOKEN. */
  token: string;
  /** CONVEX_SIGNING_SECRETS, one secret. */
  signingSecret: string;
}

/** The real services and nats-server, each in a separate process. */
export class Pipeline {
  private constructor(
    readonly secrets: Secrets,
    private readonly directory: string,
    readonly nats: Service,
    readonly ingress: Service,
    readonly fetcher: Service,
    readonly judge: Service,
    readonly reporter: Service,
  ) {}

  /** Starts all processes on free ports and waits until they are ready. `convexSiteUrl` need not answer yet. */
  static async start(convexSiteUrl: string): Promise<Pipeline> {
    const secrets = {
      ingressKey: randomBytes(24).toString("hex"),
      token: randomBytes(24).toString("hex"),
      signingSecret: `whsec_${randomBytes(32).toString("base64")}`,
    };
    const directory = mkdtempSync(join(tmpdir(), "gavel-e2e-"));
    process.on("exit", () => rmSync(directory, { recursive: true, force: true }));
    const started: Service[] = [];
    const start = async (service: Promise<Service>) => {
      started.push(await service);
      return await service;
    };
    try {
      const nats = await start(startNats(directory));
      const env = {
        ...SETTINGS,
        NATS_URL: `nats://127.0.0.1:${nats.port}`,
        CONVEX_SITE_URL: convexSiteUrl,
        INGRESS_KEYS: secrets.ingressKey,
        CONVEX_TOKEN: secrets.token,
        CONVEX_SIGNING_SECRETS: secrets.signingSecret,
      };
      const gavel = (role: string) => start(startGavel(role, env));
      // The first service makes the streams.
      const ingress = await gavel("ingress");
      const others = [gavel("fetcher"), gavel("judge"), gavel("reporter")] as const;
      const [fetcher, judge, reporter] = await Promise.all(others);
      const pipeline = new Pipeline(secrets, directory, nats, ingress, fetcher, judge, reporter);
      await Promise.all(pipeline.services.map((service) => service.ready()));
      return pipeline;
    } catch (error) {
      await Promise.all(started.map((service) => service.kill()));
      rmSync(directory, { recursive: true, force: true });
      throw error;
    }
  }

  private get services(): Service[] {
    return [this.ingress, this.fetcher, this.judge, this.reporter];
  }

  /** Runs the `gavel` command. Returns its standard output; fails if the exit code is not 0. */
  async gavel(...args: string[]): Promise<string> {
    const env = { PATH: process.env.PATH, ...SETTINGS, NATS_URL: `nats://127.0.0.1:${this.nats.port}` };
    const { stdout } = await promisify(execFile)(join(BIN_DIR, "gavel"), args, { env });
    return stdout;
  }

  /** The latest warnings and errors of the services. */
  warnings(): string[] {
    return this.services.flatMap(({ name, log }) => {
      const warnings = log.filter((line) => /"level":"(WARN|ERROR)"/.test(line)).slice(-5);
      return warnings.map((line) => {
        const { level, message, cause = "" } = JSON.parse(line) as Record<string, string>;
        return `${name}: ${level} ${message} ${cause}`;
      });
    });
  }

  /** Stops all processes and removes their files. Fails if a service does not shut down cleanly. */
  async close(): Promise<void> {
    try {
      const stopped = await Promise.allSettled(this.services.map((service) => service.stop()));
      for (const each of stopped) if (each.status === "rejected") throw each.reason;
    } finally {
      await this.nats.kill();
      rmSync(this.directory, { recursive: true, force: true });
    }
  }
}

function startNats(directory: string): Promise<Service> {
  return Service.start({
    name: "nats-server",
    program: NATS_SERVER,
    args: (port) => ["-a", "127.0.0.1", "-p", String(port || -1), "-js", "-sd", directory],
    listeningPort: (line) => portOf(/Listening for client connections on 127\.0\.0\.1:(\d+)/, line),
  });
}

function startGavel(role: string, env: Record<string, string>): Promise<Service> {
  return Service.start({
    name: role,
    program: join(BIN_DIR, `gavel-${role}`),
    env,
    listeningPort: (line) =>
      line.includes('"listening"') ? portOf(/"address":"127\.0\.0\.1:(\d+)"/, line) : undefined,
  });
}

function portOf(pattern: RegExp, line: string): number | undefined {
  const port = pattern.exec(line)?.[1];
  return port === undefined ? undefined : Number(port);
}
