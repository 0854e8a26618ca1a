import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { startMockDeployment } from "./mockDeployment.js";

const CLI = join(dirname(createRequire(import.meta.url).resolve("convex/package.json")), "bin", "main.js");

/**
 * Run `convex codegen` in a package, against a mock deployment. Fails if the command does.
 *
 * @param {string} folder the package: the folder of convex.json
 * @param {string | null} component the component whose code to generate, relative to the folder; null for the app
 */
export async function generate(folder, component) {
  const deployment = await startMockDeployment();
  try {
    const target = component === null ? [] : ["--component-dir", component];
    const access = ["--url", deployment.url, "--admin-key", "mock"];
    await run(process.execPath, [CLI, "codegen", "--typecheck", "disable", ...access, ...target], folder);
  } finally {
    await deployment.close();
  }
}

/**
 * Run a command in a folder. Fails, with its output, if it exits with another code than 0.
 *
 * @param {string} command
 * @param {string[]} argv
 * @param {string} cwd
 */
export async function run(command, argv, cwd) {
  const child = spawn(command, argv, { cwd, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text) => (output += text));
  }
  const code = await new Promise((resolve, reject) => child.on("error", reject).on("close", resolve));
  if (code !== 0) {
    throw new Error(`"${[command, ...argv].join(" ")}" exited with ${code}:\n${output}`);
  }
}
