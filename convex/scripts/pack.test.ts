import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { filesOf } from "./readme.js";
import { problemsOf } from "./tarball.js";

describe("files of the README", () => {
  test("blocks with a path are files, and others are not", () => {
    const markdown = [
      "```ts\n// convex/http.ts\nexport default 1;\n```",
      "```sh\n// convex/no.ts\nnpm install\n```",
      "```tsx\n// src/page.tsx (a page)\n<a />\n```",
      "```ts\nconst noPath = 1;\n```",
      "```ts\n// convex/http.ts\nconst more = 2;\n```",
    ].join("\n\n");
    expect([...filesOf(markdown)]).toEqual([
      ["convex/http.ts", "export default 1;\nconst more = 2;\n"],
      ["src/page.tsx", "<a />\n"],
    ]);
  });
});

describe("problems of a package", () => {
  const GOOD = {
    "package.json": JSON.stringify({
      exports: { ".": { types: "./dist/index.d.ts", default: "./dist/index.js" }, "./test": "./src/test.ts" },
    }),
    LICENSE: "",
    "README.md": "Set GAVEL_SIGNING_SECRETS to whsec_…",
    "dist/index.d.ts": "",
    "dist/index.js": "",
    "dist/component/_generated/component.d.ts": "",
    "src/test.ts": "",
    "src/component/convex.config.ts": "",
    "src/component/_generated/component.ts": "",
  };
  let folder: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "pack-test-"));
  });

  afterEach(() => rmSync(folder, { recursive: true }));

  function problems(files: Record<string, string>, bytes = 1000): string[] {
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, path), text);
    }
    return problemsOf(Object.keys(files), bytes, folder);
  }

  test("a package with what it needs has none", () => {
    expect(problems(GOOD)).toEqual([]);
  });

  test("a file that an export names is required", () => {
    const { "dist/index.js": _, ...rest } = GOOD;
    expect(problems(rest)).toEqual(["dist/index.js is missing"]);
  });

  test("tests, settings and other folders do not ship", () => {
    const added = { "src/a.test.ts": "", "src/testing/app.ts": "", "example/index.html": "", "dist/.env.local": "" };
    expect(problems({ ...GOOD, ...added })).toEqual([
      "example/index.html is not part of the package",
      "src/a.test.ts is for development only",
      "src/testing/app.ts is for development only",
      "dist/.env.local is for development only",
    ]);
  });

  test("a secret is found", () => {
    const secret = `export const secret = "whsec_${"A".repeat(32)}";`;
    const key = `{"kty":"EC","d":"${"x".repeat(43)}"}`;
    expect(problems({ ...GOOD, "src/a.ts": secret, "src/b.ts": key })).toEqual([
      "src/a.ts contains what looks like a secret",
      "src/b.ts contains what looks like a secret",
    ]);
  });

  test("the size has a limit", () => {
    expect(problems(GOOD, 300_001)).toEqual(["the tarball has 300001 bytes, and may have 300000"]);
  });
});
