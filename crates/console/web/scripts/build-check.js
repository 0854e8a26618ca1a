// Checks that ../dist is what a build of these sources writes. The files are compared byte by byte.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "vite";

const ROOT = join(import.meta.dirname, "..");
const COMMITTED = join(ROOT, "../dist");

/** The content of each file in a folder, by its path. */
function contents(/** @type {string} */ folder) {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return new Map(
    files.map(({ parentPath, name }) => {
      const path = join(parentPath, name);
      return [path.slice(folder.length + 1), readFileSync(path)];
    }),
  );
}

const fresh = mkdtempSync(join(tmpdir(), "gavel-console-"));
try {
  await build({ root: ROOT, logLevel: "error", build: { outDir: fresh } });
  const [expected, committed] = [contents(fresh), contents(COMMITTED)];
  const paths = new Set([...expected.keys(), ...committed.keys()]);
  const different = [...paths].filter((path) => !expected.get(path)?.equals(committed.get(path) ?? Buffer.of(0)));
  for (const path of different) console.error(`crates/console/dist/${path} is not what a build writes`);
  if (different.length > 0) {
    console.error('run "npm run build" in crates/console/web, and commit crates/console/dist');
    process.exitCode = 1;
  }
} finally {
  rmSync(fresh, { recursive: true, force: true });
}
