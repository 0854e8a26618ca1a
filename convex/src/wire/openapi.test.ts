import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const packageDir = fileURLToPath(new URL("../..", import.meta.url));
const description = join(packageDir, "../docs/openapi.yaml");
const generator = join(packageDir, "node_modules/openapi-typescript/bin/cli.js");

/** Whether the committed types are those that the generator makes from an OpenAPI document. */
function isFresh(document: string): boolean {
  try {
    const options = ["--output", "src/wire/openapi.ts", "--check"];
    execFileSync(process.execPath, [generator, document, ...options], { cwd: packageDir, stdio: "pipe" });
    return true;
  } catch (error) {
    if (!String((error as { stderr?: unknown }).stderr).includes("are not up-to-date")) throw error;
    return false;
  }
}

test("types are generated from docs/openapi.yaml (npm run wire)", { timeout: 60_000 }, () => {
  expect(isFresh(description)).toBe(true);
});

test("check of the types notices a changed description", { timeout: 60_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), "gavel-wire-"));
  try {
    const changed = join(folder, "openapi.yaml");
    const text = readFileSync(description, "utf8");
    writeFileSync(changed, text.replace("enum: [passed, failed, error]", "enum: [passed, failed]"));
    expect(isFresh(changed)).toBe(false);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
