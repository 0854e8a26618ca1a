import { cpSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The folder of package.json. */
export const PACKAGE = dirname(dirname(fileURLToPath(import.meta.url)));

/**
 * Call a function with a temporary folder, and remove the folder afterwards.
 *
 * @template T
 * @param {(folder: string) => Promise<T>} use
 */
export async function withFolder(use) {
  const folder = mkdtempSync(join(tmpdir(), "gavel-convex-"));
  try {
    return await use(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/**
 * Call a function with a copy of this package that has the same dependencies, but lacks some files and folders.
 *
 * @template T
 * @param {string[]} lacking names of files and folders, at any depth
 * @param {(folder: string) => Promise<T>} use
 */
export function withCopy(lacking, use) {
  return withFolder((folder) => {
    cpSync(PACKAGE, folder, {
      recursive: true,
      filter: (path) => !["node_modules", ...lacking].includes(basename(path)),
    });
    symlinkSync(join(PACKAGE, "node_modules"), join(folder, "node_modules"));
    return use(folder);
  });
}
