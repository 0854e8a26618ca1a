import { join } from "node:path";
import { build } from "vite";

const ROOT = join(import.meta.dirname, "..");

/** The page that the tests use. The one in `example/dist` may be in use. */
export const PAGE_DIR = join(ROOT, "node_modules/.cache/e2e-page");

/** Builds the page once before the tests, so that they never run against an old one. */
export default async function buildPage(): Promise<void> {
  const configFile = join(ROOT, "example/vite.config.ts");
  await build({ configFile, logLevel: "error", build: { outDir: PAGE_DIR } });
}
