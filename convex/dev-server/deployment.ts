import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { convexTest, type TestConvex } from "convex-test";
import {
  getFunctionName,
  makeFunctionReference,
  type AuthConfig,
  type FunctionReference,
  type GenericSchema,
  type HttpRouter,
  type SchemaDefinition,
  type UserIdentity,
} from "convex/server";
import { convexToJson, jsonToConvex, type JSONValue, type Value } from "convex/values";
import { describeFailure, FunctionNotFound, type Failure } from "./errors";
import { ModuleLoader, type FunctionModule, type ModuleMap } from "./modules";
import { hookPagination, withPageJournal, type PageJournal, type Scope } from "./scope";

// How long a function that runs at the end may take, in milliseconds.
const GRACE_MS = 2000;

type Schema = SchemaDefinition<GenericSchema, boolean>;

/** convex-test's accessor. Its functions run in the deployment's scope. */
export type Backend = TestConvex<Schema>;

/** What a deployment runs. Paths are absolute. */
export interface App {
  /** The directory of the app's functions, e.g. `example/convex`. */
  functions: string;
  /** The components that the app uses: the name to the module that exports `register(t, name)`. */
  components: Record<string, string>;
}

export type FunctionKind = "Query" | "Mutation" | "Action";

/** A query that a client subscribes to. */
export interface QueryCall {
  name: string;
  args: JSONValue;
  journal: PageJournal;
}

/** The result of a query, or how it failed. */
export type Outcome = { value: JSONValue } | { failure: Failure };

/** The functions of an app and its components, loaded into convex-test. */
export class Deployment {
  private constructor(
    readonly t: Backend,
    private readonly scope: Scope,
    private readonly loader: ModuleLoader,
    private readonly app: App,
    /** The modules of the app (path "") and of its components. */
    readonly modules: ReadonlyMap<string, ModuleMap>,
  ) {}

  /** Loads the app. Fails if a module or the schema is invalid. */
  static async load(app: App, viteRoot: string, scope: Scope): Promise<Deployment> {
    const loader = await ModuleLoader.start(viteRoot);
    try {
      const root = await loader.loadDirectory(app.functions);
      const schemaModule = await root["./schema.ts"]?.();
      const t = convexTest(schemaModule?.default as Schema | undefined, root);
      hookPagination();
      const modules = new Map([["", root]]);
      for (const [name, file] of Object.entries(app.components)) {
        for (const component of await loader.loadComponent(file, name)) {
          modules.set(component.name, component.modules);
          t.registerComponent(component.name, component.schema, component.modules);
        }
      }
      return new Deployment(inScope(t, scope), scope, loader, app, modules);
    } catch (error) {
      await loader.close();
      throw error;
    }
  }

  /** Runs any function of the app or, with a path, of a component; internal ones too. */
  async run(reference: FunctionReference<FunctionType, "public" | "internal"> | string, args: unknown = {}, at = "") {
    const udfPath = typeof reference === "string" ? reference : getFunctionName(reference);
    return internalsOf(this.t).fun({ componentPath: at, udfPath }, args);
  }

  /** The timestamp of the last commit, in nanoseconds since 1970. */
  async lastCommit(): Promise<bigint> {
    return this.t.query((ctx) => Promise.resolve(ctx.meta.getSnapshotTs()));
  }

  /** Runs public queries in one transaction, so that all see the same data. */
  async query(identity: UserIdentity | null, calls: QueryCall[]): Promise<{ ts: bigint; outcomes: Outcome[] }> {
    const user = this.as(identity);
    const outcomes: Outcome[] = [];
    const ts = await user.query(async (ctx) => {
      for (const { name, args, journal } of calls) {
        const run = async () => {
          await this.checkPublic(name, "Query");
          // Not ctx.runQuery, which loses the data of a ConvexError in convex-test.
          return internalsOf(user).queryFromPath({ componentPath: "", udfPath: name }, argsOf(args));
        };
        outcomes.push(await outcomeOf(() => withPageJournal(journal, run)));
      }
      return ctx.meta.getSnapshotTs();
    });
    return { ts, outcomes };
  }

  /** Runs a public mutation. */
  async mutation(identity: UserIdentity | null, name: string, args: JSONValue): Promise<Outcome> {
    return outcomeOf(async () => {
      await this.checkPublic(name, "Mutation");
      return this.as(identity).mutation(makeFunctionReference<"mutation">(name), argsOf(args)) as Promise<Value>;
    });
  }

  /** Runs a public action. */
  async action(identity: UserIdentity | null, name: string, args: JSONValue): Promise<Outcome> {
    return outcomeOf(async () => {
      await this.checkPublic(name, "Action");
      return this.as(identity).action(makeFunctionReference<"action">(name), argsOf(args)) as Promise<Value>;
    });
  }

  /** Runs the HTTP action for a request; returns `null` if the app has no route for it. */
  async fetch(identity: UserIdentity | null, pathAndQuery: string, init: RequestInit): Promise<Response | null> {
    const http = await this.module("http");
    const router = http?.default as HttpRouter | undefined;
    const { pathname } = new URL(pathAndQuery, "https://deployment.invalid");
    const method = (init.method ?? "GET") as Parameters<HttpRouter["lookup"]>[1];
    if (router?.lookup(pathname, method) == null) return null;
    return this.as(identity).fetch(pathAndQuery, init);
  }

  /** The providers of the app's auth.config.ts. */
  async authProviders(): Promise<AuthConfig["providers"]> {
    const config = await this.module("auth.config");
    return (config?.default as AuthConfig | undefined)?.providers ?? [];
  }

  /** Cancels what is scheduled and waits a moment for functions that are running. */
  async close(): Promise<void> {
    this.scope.close();
    await Promise.race([this.t.finishInProgressScheduledFunctions(), sleep(GRACE_MS, undefined, { ref: false })]);
    await this.loader.close();
  }

  private as(identity: UserIdentity | null) {
    return identity === null ? this.t : this.t.withIdentity(identity);
  }

  private async module(name: string): Promise<FunctionModule | undefined> {
    const root = this.modules.get("");
    return (root?.[`./${name}.ts`] ?? root?.[`./${name}.js`])?.();
  }

  /** Fails unless the app exports a public function of this kind under this name. */
  private async checkPublic(name: string, kind: FunctionKind): Promise<void> {
    const [module = "", functionName = "default"] = name.split(":");
    const found = (await this.module(module))?.[functionName] as Registered | undefined;
    if (found?.isPublic !== true) {
      throw new FunctionNotFound(
        `Could not find public function for '${name}'. Check that ${path.relative(process.cwd(), this.app.functions)} exports it.`,
      );
    }
    const actual = found.isQuery ? "Query" : found.isMutation ? "Mutation" : "Action";
    if (actual !== kind) {
      throw new FunctionNotFound(`Trying to execute ${name} as ${kind}, but it is defined as ${actual}.`);
    }
  }
}

/** What convex-test's accessors also have, beyond their types. */
interface Internals {
  fun(path: FunctionPath, args: unknown): Promise<unknown>;
  queryFromPath(path: FunctionPath, args: Record<string, Value>): Promise<Value | undefined>;
}

interface FunctionPath {
  componentPath: string;
  udfPath: string;
}

function internalsOf(accessor: object): Internals {
  return accessor as Internals;
}

type FunctionType = "query" | "mutation" | "action";

interface Registered {
  isPublic?: boolean;
  isQuery?: boolean;
  isMutation?: boolean;
}

function argsOf(args: JSONValue): Record<string, Value> {
  return jsonToConvex(args) as Record<string, Value>;
}

async function outcomeOf(body: () => Promise<Value | undefined>): Promise<Outcome> {
  try {
    return { value: convexToJson((await body()) ?? null) };
  } catch (error) {
    return { failure: describeFailure(error) };
  }
}

/** Makes every function of a convex-test accessor run in the scope. */
function inScope<T extends object>(t: T, scope: Scope): T {
  return Object.fromEntries(
    Object.entries(t).map(([key, member]: [string, (...args: unknown[]) => unknown]) => {
      const derives = key === "withIdentity" || key === "withRequestMetadata";
      return [
        key,
        (...args: unknown[]) => {
          const result = scope.run(() => member(...args));
          return derives ? inScope(result as object, scope) : result;
        },
      ];
    }),
  ) as T;
}
