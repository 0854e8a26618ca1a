// Node.js 20 cannot run TypeScript; Vite can.
import { fileURLToPath } from "node:url";
import { runnerImport } from "vite";

const root = fileURLToPath(new URL("..", import.meta.url));
const { module } = await runnerImport("/dev-server/cli.ts", { root, configFile: false, logLevel: "error" });
process.exit(await module.main(process.argv.slice(2)));
