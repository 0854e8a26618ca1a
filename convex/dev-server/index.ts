import path from "node:path";
import { fileURLToPath } from "node:url";
import type { FunctionArgs, FunctionReference, FunctionReturnType } from "convex/server";
import { TokenVerifier } from "./auth";
import { startCrons } from "./crons";
import { Deployment, type App, type Backend } from "./deployment";
import { createAuthKeys } from "./auth-keys";
import { Faults } from "./faults";
import { HttpActions } from "./http-actions";
import { Page } from "./page";
import { Port } from "./port";
import { Scope } from "./scope";
import { SyncServer } from "./sync/server";

export type { App } from "./deployment";
export type { Fault } from "./faults";

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "..");

/** The example app of this package. */
export const EXAMPLE: App = {
  functions: path.join(ROOT, "example/convex"),
  components: { gavel: path.join(ROOT, "src/test.ts") },
};

export interface DevServerOptions {
  /** Port of the sync server and the page. 0, the default, picks a free one. */
  port?: number;
  /** Port of the HTTP actions. 0, the default, picks a free one. */
  sitePort?: number;
  /** Directory of the built page. No page is served if absent or `null`. */
  pageDir?: string | null;
  /** Environment variables of the functions, added to those of the process until the server closes. */
  env?: Record<string, string>;
  /** Called with one line for each HTTP request. */
  log?: (line: string) => void;
  /** The app to run. {@link EXAMPLE} if absent. */
  app?: App;
  /** An internal mutation to run at start. `seed:run` for the example, none for other apps, if absent. */
  seed?: string;
}

/** A running mock of a Convex deployment. */
export interface DevServer {
  /** Address of the sync server and the page, like `https://NAME.convex.cloud`. */
  url: string;
  /** Address of the HTTP actions, like `https://NAME.convex.site`. */
  siteUrl: string;
  /** The convex-test instance that runs the functions. */
  t: Backend;
  /** Runs a function of the app, also an internal one, e.g. `run(internal.seed.run, {})`. */
  run<F extends FunctionReference<"query" | "mutation" | "action", "public" | "internal">>(
    reference: F,
    args: FunctionArgs<F>,
  ): Promise<FunctionReturnType<F>>;
  /** Injects faults into the answers of HTTP actions. */
  faults: Faults;
  /** Breaks the connections of all clients. They connect again by themselves. */
  disconnectClients(): void;
  /** Stops the servers and everything that the functions scheduled. */
  close(): Promise<void>;
}

let isRunning = false;

/**
 * Starts a mock of a Convex deployment on the loopback interface: the app's functions on convex-test, behind HTTP
 * and WebSocket. One at a time in a process, because the functions read `process.env`.
 */
export async function startDevServer(options: DevServerOptions = {}): Promise<DevServer> {
  if (isRunning) throw new Error("A dev server is already running in this process. Close it first.");
  isRunning = true;
  const cleanups: (() => unknown)[] = [() => (isRunning = false)];
  const close = async () => {
    for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  };
  try {
    return { ...(await start(options, cleanups)), close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function start(options: DevServerOptions, cleanups: (() => unknown)[]): Promise<Omit<DevServer, "close">> {
  const app = options.app ?? EXAMPLE;
  const cloud = await openPort(options.port ?? 0, options, cleanups);
  const site = await openPort(options.sitePort ?? 0, options, cleanups);
  const env = { CONVEX_CLOUD_URL: cloud.url, CONVEX_SITE_URL: site.url, ...options.env };
  cleanups.push(setEnvironment({ ...(await createAuthKeys(env)), ...env }));

  const scope = new Scope();
  const deployment = await Deployment.load(app, ROOT, scope);
  cleanups.push(() => deployment.close());
  const verifier = new TokenVerifier(await deployment.authProviders());
  const seed = options.seed ?? (app === EXAMPLE ? "seed:run" : undefined);
  if (seed !== undefined) await deployment.run(seed);
  await startCrons(deployment, scope);

  const faults = new Faults();
  const sync = new SyncServer(deployment, verifier);
  const page = new Page(options.pageDir ?? null);
  const actions = new HttpActions(deployment, verifier, faults);
  sync.attach(cloud.server);
  cloud.handler = (request, response) => page.handle(request, response);
  site.handler = (request, response) => actions.handle(request, response);
  // Before the deployment: nothing may call a function that is being stopped.
  cleanups.push(async () => {
    sync.close();
    await Promise.all([cloud.close(), site.close()]);
  });

  return {
    url: cloud.url,
    siteUrl: site.url,
    t: deployment.t,
    run: (reference, args) => deployment.run(reference, args),
    faults,
    disconnectClients: () => sync.disconnectAll(),
  };
}

async function openPort(port: number, options: DevServerOptions, cleanups: (() => unknown)[]): Promise<Port> {
  const opened = await Port.open(port, options.log);
  cleanups.push(() => opened.close());
  return opened;
}

/** Adds variables to the environment of the process. Returns a function that restores it. */
function setEnvironment(env: Record<string, string>): () => void {
  const before = Object.fromEntries(Object.keys(env).map((name) => [name, process.env[name]]));
  Object.assign(process.env, env);
  return () => {
    for (const [name, value] of Object.entries(before)) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  };
}
