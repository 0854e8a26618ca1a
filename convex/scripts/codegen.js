// Generate the code of the component and of the example app with the Convex CLI, without a deployment.
// With --check: generate into a copy, show how the committed files differ, and exit 1 if they do.
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { generate, run } from "./generate.js";

const PACKAGE = dirname(dirname(fileURLToPath(import.meta.url)));
const COMPONENT = join("src", "component");
const GENERATED = [join(COMPONENT, "_generated"), join("example", "convex", "_generated")];
const NOT_COPIED = ["node_modules", "dist", "_generated"];

/** @param {string} folder the package, or a copy of it */
async function generateAll(folder) {
  await generate(folder, COMPONENT);
  // The example imports the built package. Its types do not matter here, and may be wrong until all code is generated.
  const tsc = join(folder, "node_modules", "typescript", "bin", "tsc");
  await run(process.execPath, [tsc, "--project", "tsconfig.build.json", "--noCheck"], folder);
  await generate(folder, null);
}

/** @returns {Promise<boolean>} whether the committed files are what the CLI generates */
async function check() {
  const copy = mkdtempSync(join(tmpdir(), "gavel-codegen-"));
  try {
    cpSync(PACKAGE, copy, { recursive: true, filter: (path) => !NOT_COPIED.includes(basename(path)) });
    symlinkSync(join(PACKAGE, "node_modules"), join(copy, "node_modules"));
    await generateAll(copy);
    return GENERATED.map((path) => isSame(join(PACKAGE, path), join(copy, path))).every(Boolean);
  } finally {
    rmSync(copy, { recursive: true });
  }
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

try {
  if (!process.argv.includes("--check")) {
    await generateAll(PACKAGE);
  } else if (!(await check())) {
    console.error("the generated code is not current: run `npm run codegen` and commit the result");
    process.exitCode = 1;
  }
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
