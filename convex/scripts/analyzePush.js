import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";

/**
 * A bundled module, as the Convex CLI pushes it.
 *
 * @typedef {{ path: string, source: string }} Module
 */
/**
 * The parts of a push that the analysis reads. The paths of components are relative to the app's; the app's is empty.
 *
 * @typedef {{ definition: Module | null, dependencies: string[], schema: Module | null }} Definition
 * @typedef {object} Push
 * @property {Definition & { changedModules: Module[] }} appDefinition
 * @property {(Definition & { definitionPath: string, functions: Module[] })[]} componentDefinitions
 */
/** @typedef {Definition & { definitionPath: string, functions: Module[], folder: string }} Component */
/**
 * @typedef {{ kind: string }} Visibility
 * @typedef {{ name: string, udfType: string, visibility: Visibility, args: string, returns: string }} Analyzed
 */

/**
 * Analyze a push as a Convex deployment does: import its modules, and describe the definition, the schema and the
 * functions of each component, with their validators. Fails if a module cannot be imported.
 *
 * @param {Push} push
 */
export async function analyzePush({ appDefinition, componentDefinitions }) {
  const root = mkdtempSync(join(tmpdir(), "gavel-codegen-"));
  try {
    write(join(root, "package.json"), JSON.stringify({ type: "module" }));
    /** @type {Component[]} */
    const components = [
      { ...appDefinition, definitionPath: "", functions: appDefinition.changedModules },
      ...componentDefinitions,
    ].map((component, index) => ({ ...component, folder: join(root, String(index)) }));
    writeDefinitions(components);
    /** @type {Record<string, unknown>} */
    const analysis = {};
    for (const component of components) {
      analysis[component.definitionPath] = await analyzeComponent(component);
    }
    return analysis;
  } finally {
    rmSync(root, { recursive: true });
  }
}

/**
 * Write the definitions (convex.config.ts) where they find each other. A definition does not import a child's
 * definition but `./_componentDeps/PATH`, for which a deployment provides the child's path and default name.
 *
 * @param {Component[]} components
 */
function writeDefinitions(components) {
  for (const { definition, dependencies, folder } of components) {
    if (definition === null) {
      continue;
    }
    write(join(folder, "definition.js"), definition.source);
    for (const path of dependencies) {
      const child = components.find((component) => component.definitionPath === path);
      if (child === undefined) {
        throw new Error(`the push lacks the component ${path}`);
      }
      const reference = `{ componentDefinitionPath: ${JSON.stringify(path)}, defaultName: child._name }`;
      write(
        join(folder, "_componentDeps", Buffer.from(path).toString("base64url")),
        `import child from ${JSON.stringify(String(pathToFileURL(join(child.folder, "definition.js"))))};
         export default ${reference};`,
      );
    }
  }
}

/** @param {Component} component */
async function analyzeComponent({ definitionPath, definition, schema, functions: modules, folder }) {
  for (const { path, source } of modules) {
    write(join(folder, "functions", path), source);
  }
  /** @type {Record<string, { functions: Analyzed[] }>} */
  const functions = {};
  // esbuild moves code that modules share to _deps.
  for (const { path } of modules.filter((module) => !module.path.startsWith("_deps/"))) {
    functions[path] = { functions: functionsOf(await load(join(folder, "functions", path))) };
  }
  const described = definition && (await load(join(folder, "definition.js"))).default.export();
  return {
    definition: {
      definitionType: { type: "app" },
      childComponents: [],
      httpMounts: {},
      ...described,
      path: definitionPath,
      envVars: described?.envVars?.sort(byName),
      exports: exportsOf(functions),
    },
    schema: schema && (await analyzeSchema(join(folder, "schema.js"), schema)),
    functions,
    udfConfig: { serverVersion: "" },
  };
}

/**
 * @param {string} file
 * @param {Module} schema
 */
async function analyzeSchema(file, schema) {
  write(file, schema.source);
  return JSON.parse(sortFields((await load(file)).default.export()));
}

/**
 * A validator or schema with its fields sorted by name.
 *
 * @param {string} json
 */
function sortFields(json) {
  return JSON.stringify(JSON.parse(json), (_, value) =>
    value !== null && typeof value === "object" && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort(byName))
      : value,
  );
}

/**
 * The order of a deployment's answers, which becomes that of the generated types.
 *
 * @param {[string, unknown]} a
 * @param {[string, unknown]} b
 */
function byName([a], [b]) {
  return a < b ? -1 : 1;
}

/**
 * The queries, mutations and actions that a module exports. HTTP actions and cron jobs have no references.
 *
 * @param {Record<string, any>} module
 * @returns {Analyzed[]}
 */
function functionsOf(module) {
  return Object.entries(module).flatMap(([name, value]) => {
    const udfType = ["Query", "Mutation", "Action"].find((type) => value?.[`is${type}`]);
    if (udfType === undefined) {
      return [];
    }
    const visibility = { kind: value.isPublic ? "public" : "internal" };
    const [args, returns] = [sortFields(value.exportArgs()), sortFields(value.exportReturns())];
    return [{ name, udfType, visibility, args, returns }];
  });
}

/**
 * What a component offers to the component that uses it: its public functions, by module.
 *
 * @param {Record<string, { functions: Analyzed[] }>} modules
 */
function exportsOf(modules) {
  /** @typedef {{ type: "branch", branch: [string, Branch | { type: "leaf", leaf: string }][] }} Branch */
  /** @type {Branch} */
  const root = { type: "branch", branch: [] };
  for (const [file, { functions }] of Object.entries(modules)) {
    const path = file.replace(/\.js$/, "");
    for (const { name } of functions.filter((each) => each.visibility.kind === "public")) {
      const branch = path.split("/").reduce(descend, root);
      branch.branch.push([name, { type: "leaf", leaf: `_reference/function/${path}:${name}` }]);
    }
  }
  return root;

  /** @type {(parent: Branch, name: string) => Branch} */
  function descend(parent, name) {
    const found = parent.branch.find(([key, child]) => key === name && child.type === "branch");
    if (found !== undefined) {
      return /** @type {Branch} */ (found[1]);
    }
    /** @type {Branch} */
    const child = { type: "branch", branch: [] };
    parent.branch.push([name, child]);
    return child;
  }
}

/**
 * @param {string} file
 * @returns {Promise<Record<string, any>>}
 */
function load(file) {
  return import(String(pathToFileURL(file)));
}

/**
 * @param {string} file
 * @param {string} text
 */
function write(file, text) {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}
