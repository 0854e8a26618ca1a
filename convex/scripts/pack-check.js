// Check the package as a user gets it: pack it, install it into an empty app, add the files that the README shows,
// generate the app's code, type-check it strictly, and import what Node can import.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { PACKAGE, withCopy, withFolder } from "./copy.js";
import { generate } from "./generate.js";
import { OWN_FUNCTIONS, OWN_QUESTIONS } from "./ownApp.js";
import { filesOf } from "./readme.js";
import { exitWithFailure, run } from "./run.js";
import { problemsOf } from "./tarball.js";

const NAME = "@gavel/convex";
/** What an app has before it installs the package; the versions are those of the lock file. */
const APP_DEPENDENCIES = ["convex", "react", "react-dom"];
const APP_DEV_DEPENDENCIES = ["@types/node", "@types/react", "@types/react-dom", "typescript"];
/** The text whose code is checked besides `OWN_FUNCTIONS`, and the files that it must show. */
const README = {
  path: "README.md",
  files: ["convex/convex.config.ts", "convex/http.ts", "convex/judge.ts", "src/Solve.tsx"],
};
/** The exports that run outside Convex and Vite. */
const FOR_NODE = [NAME, `${NAME}/react`, `${NAME}/package.json`];

const TSCONFIG = {
  compilerOptions: {
    target: "ES2022",
    lib: ["ES2022", "DOM", "DOM.Iterable"],
    module: "ESNext",
    moduleResolution: "Bundler",
    jsx: "react-jsx",
    strict: true,
    noEmit: true,
    types: ["node"],
  },
};

/**
 * Build and pack a copy of the package, which leaves `dist` alone.
 *
 * @param {string} folder where to put the tarball
 * @returns {Promise<{ tarball: string, paths: string[], bytes: number }>}
 */
function pack(folder) {
  return withCopy(["dist"], async (copy) => {
    const [packed] = JSON.parse(await run(["npm", "pack", "--json", "--pack-destination", folder], copy));
    const paths = packed.files.map((/** @type {{ path: string }} */ file) => file.path);
    return { tarball: join(folder, packed.filename), paths, bytes: packed.size };
  });
}

/**
 * Make an app with its dependencies and the packed package. With this package's lock file, npm asks the registry for
 * nothing that its cache has.
 *
 * @param {string} app
 * @param {string} tarball
 */
async function install(app, tarball) {
  const { packages } = JSON.parse(readFileSync(join(PACKAGE, "package-lock.json"), "utf8"));
  const versions = (/** @type {string[]} */ names) =>
    Object.fromEntries(names.map((name) => [name, packages[`node_modules/${name}`].version]));
  const manifest = {
    name: "app",
    private: true,
    type: "module",
    dependencies: versions(APP_DEPENDENCIES),
    devDependencies: versions(APP_DEV_DEPENDENCIES),
  };
  write(app, "package.json", JSON.stringify(manifest));
  write(app, "tsconfig.json", JSON.stringify(TSCONFIG));
  const lock = { name: "app", lockfileVersion: 3, requires: true, packages: { ...packages, "": manifest } };
  write(app, "package-lock.json", JSON.stringify(lock));
  await run(["npm", "install", "--prefer-offline", "--ignore-scripts", "--no-audit", "--no-fund", tarball], app);
}

/**
 * Give the app the files that a text shows, generate its code, and type-check it.
 *
 * @param {string} app
 * @param {{ path: string, files: string[] }} text
 * @param {Record<string, string>} others files that the text takes for granted, by path
 */
async function checkCode(app, text, others = {}) {
  const files = filesOf(readFileSync(join(PACKAGE, text.path), "utf8"));
  const missing = text.files.filter((path) => !files.has(path));
  if (missing.length > 0) {
    throw new Error(`${text.path} shows no block with the path of ${missing.join(", ")} in its first line`);
  }
  for (const folder of ["convex", "src"]) {
    rmSync(join(app, folder), { recursive: true, force: true });
  }
  for (const [path, content] of [...files, ...Object.entries(others)]) {
    write(app, path, content);
  }
  await generate(app, null);
  await run([process.execPath, join("node_modules", "typescript", "bin", "tsc")], app);
}

/**
 * @param {string} folder
 * @param {string} path
 * @param {string} text
 */
function write(folder, path, text) {
  mkdirSync(dirname(join(folder, path)), { recursive: true });
  writeFileSync(join(folder, path), text);
}

async function main() {
  await withFolder(async (folder) => {
    const app = join(folder, "app");
    const { tarball, paths, bytes } = await pack(folder);
    await install(app, tarball);
    const problems = problemsOf(paths, bytes, join(app, "node_modules", NAME));
    if (problems.length > 0) {
      throw new Error(`the package is wrong:\n${problems.join("\n")}`);
    }
    await checkCode(app, README);
    await checkCode(app, OWN_FUNCTIONS, OWN_QUESTIONS);
    for (const name of FOR_NODE) {
      const options = name.endsWith(".json") ? ', { with: { type: "json" } }' : "";
      await run([process.execPath, "--input-type=module", "-e", `await import("${name}"${options})`], app);
    }
    console.log(
      `the package has ${paths.length} files in ${bytes} bytes; the apps of the documents type-check with it`,
    );
  });
}

main().catch(exitWithFailure);
