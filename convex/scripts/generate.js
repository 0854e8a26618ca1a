import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { startMockDeployment } from "./mockDeployment.js";
import { run } from "./run.js";

const CLI = join(dirname(createRequire(import.meta.url).resolve("convex/package.json")), "bin", "main.js");

/**
 * Run `convex codegen` in a package, against a mock deployment. Fails if the command does.
 *
 * @param {string} folder the package: the folder with package.json
 * @param {string | null} component the component whose code to generate, relative to the folder; null for the app
 */
export async function generate(folder, component) {
  const deployment = await startMockDeployment();
  try {
    const target = component === null ? [] : ["--component-dir", component];
    const access = ["--url", deployment.url, "--admin-key", "mock"];
    await run([process.execPath, CLI, "codegen", "--typecheck", "disable", ...access, ...target], folder);
  } finally {
    await deployment.close();
  }
}
