// Generate the code of the component and of the example app with the Convex CLI, without a deployment.
// With --check: generate into a copy, show how the committed files differ, and exit 1 if they do.
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { PACKAGE, withCopy } from "./copy.js";
import { generate } from "./generate.js";
import { exitWithFailure, run } from "./run.js";

const COMPONENT = join("src", "component");
const GENERATED = [join(COMPONENT, "_generated"), join("example", "convex", "_generated")];

/** @param {string} folder the package, or a copy of it */
async function generateAll(folder) {
  await generate(folder, COMPONENT);
  // The example imports the built package. Its types do not matter here, and may be wrong until all code is generated.
  const tsc = join(folder, "node_modules", "typescript", "bin", "tsc");
  await run([process.execPath, tsc, "--project", "tsconfig.build.json", "--noCheck"], folder);
  await generate(folder, null);
}

/** @returns {Promise<boolean>} whether the committed files are what the CLI generates */
function check() {
  return withCopy(["dist", "_generated"], async (copy) => {
    await generateAll(copy);
    return GENERATED.map((path) => isSame(join(PACKAGE, path), join(copy, path))).every(Boolean);
  });
}

/**
 * Whether two folders have the same content; prints the differences.
 *
 * @param {string} committed
 * @param {string} generated
 */
function isSame(committed, generated) {
  return spawnSync("diff", ["-ruN", committed, generated], { stdio: "inherit" }).status === 0;
}

async function main() {
  if (!process.argv.includes("--check")) {
    await generateAll(PACKAGE);
  } else if (!(await check())) {
    throw new Error("the generated code is not current: run `npm run codegen` and commit the result");
  }
}

main().catch(exitWithFailure);
