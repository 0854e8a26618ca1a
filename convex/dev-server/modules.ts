import { readdir } from "node:fs/promises";
import path from "node:path";
import type { GenericSchema, SchemaDefinition } from "convex/server";
import { createServer, isRunnableDevEnvironment, type ViteDevServer } from "vite";

/** A module of functions, by name of export. */
export type FunctionModule = Record<string, unknown>;

/** The modules of an app or a component as `import.meta.glob` returns them: file path to loader. */
export type ModuleMap = Record<string, () => Promise<FunctionModule>>;

/** A component by its path, e.g. `gavel/pool`. */
export interface Component {
  name: string;
  schema: SchemaDefinition<GenericSchema, boolean>;
  modules: ModuleMap;
}

/**
 * Loads TypeScript modules through a separate Vite server, so that every deployment evaluates its functions again
 * (they may read the environment when they are loaded), and so that `import.meta.glob` works under plain Node.js.
 */
export class ModuleLoader {
  private constructor(private readonly vite: ViteDevServer) {}

  static async start(root: string): Promise<ModuleLoader> {
    const vite = await createServer({
      root,
      configFile: false,
      appType: "custom",
      logLevel: "error",
      server: { middlewareMode: true, hmr: false, ws: false, watch: null },
      optimizeDeps: { noDiscovery: true, include: [] },
      // The example imports this package by its name, which means dist/ to Node.js.
      resolve: { alias: [{ find: /^@gavel\/convex$/, replacement: path.join(root, "src/client/index.ts") }] },
      // The test helpers of components are TypeScript and use import.meta.glob.
      ssr: { noExternal: [/^@convex-dev\//] },
    });
    return new ModuleLoader(vite);
  }

  async load(file: string): Promise<FunctionModule> {
    const environment = this.vite.environments.ssr;
    if (!isRunnableDevEnvironment(environment)) throw new Error("Vite's SSR environment cannot run modules.");
    return environment.runner.import<FunctionModule>(file);
  }

  /** Loads the modules of a functions directory, those that `npx convex dev` would push. */
  async loadDirectory(directory: string): Promise<ModuleMap> {
    const files = await readdir(directory, { recursive: true });
    return preload(
      Object.fromEntries(
        files.map((file) => [`./${file.split(path.sep).join("/")}`, () => this.load(path.join(directory, file))]),
      ),
    );
  }

  /** Loads a component, and those that it uses, by its test helper: a module that exports `register(t, name)`. */
  async loadComponent(helper: string, name: string): Promise<Component[]> {
    const found: Component[] = [];
    const registry = {
      registerComponent: (name: string, schema: Component["schema"], modules: ModuleMap) =>
        found.push({ name, schema, modules }),
    };
    const module = (await this.load(helper)) as { register: (t: typeof registry, name: string) => void };
    module.register(registry, name);
    return Promise.all(found.map(async (component) => ({ ...component, modules: await preload(component.modules) })));
  }

  async close(): Promise<void> {
    await this.vite.close();
  }
}

/**
 * Loads all modules of functions now. A module that is broken fails the start, as it fails a push to Convex, not its
 * first call; and Vite, which starts timers, would fail inside of a transaction.
 */
async function preload(modules: ModuleMap): Promise<ModuleMap> {
  const loaded: ModuleMap = {};
  for (const [file, load] of Object.entries(modules)) {
    if (!isFunctionModule(file)) continue;
    const module = await load();
    loaded[file] = () => Promise.resolve(module);
  }
  return loaded;
}

function isFunctionModule(file: string): boolean {
  return /\.[jt]s$/.test(file) && !/\.d\.ts$|\.test\.ts$|(^|\/)convex\.config\.[jt]s$/.test(file);
}
