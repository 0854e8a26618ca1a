import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { generate } from "./generate.js";

const PACKAGE = dirname(dirname(fileURLToPath(import.meta.url)));
const SECONDS = 1000;

const COMPONENT = {
  "src/component/convex.config.ts": `
    import { defineComponent } from "convex/server";
    import { v } from "convex/values";
    export default defineComponent("greeter", { env: { GREETING: v.optional(v.string()), GREETED: v.string() } });`,
  "src/component/words/say.ts": `
    import { v } from "convex/values";
    import { internalQuery, query } from "../_generated/server.js";
    export const hello = query({
      args: { b: v.string(), a: v.optional(v.number()) },
      returns: v.union(v.null(), v.string()),
      handler: () => null,
    });
    export const hidden = internalQuery({ args: {}, handler: () => null });`,
};

const APP = {
  "src/client/index.ts": "export const answer: number = 42;",
  "example/convex/convex.config.ts": `
    import { defineApp } from "convex/server";
    import greeter from "@gavel/convex/convex.config.js";
    const app = defineApp();
    app.use(greeter, { name: "friendly", env: { GREETED: "you" } });
    app.use(greeter, { env: { GREETED: "all" } });
    export default app;`,
  "example/convex/numbers.ts": `
    import { answer } from "@gavel/convex";
    import { query } from "./_generated/server.js";
    export const get = query({ args: {}, handler: () => answer });`,
};

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "codegen-test-"));
  // The CLI resolves the component from the folder of the app.
  mkdirSync(join(folder, "example", "convex"), { recursive: true });
  symlinkSync(join(PACKAGE, "node_modules"), join(folder, "node_modules"));
  for (const name of ["package.json", "convex.json", "tsconfig.json", "tsconfig.build.json", "scripts"]) {
    cpSync(join(PACKAGE, name), join(folder, name), { recursive: true });
  }
});

afterEach(() => rmSync(folder, { recursive: true }));

function write(files: Record<string, string>): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
}

function read(...path: string[]): string {
  return readFileSync(join(folder, ...path), "utf8");
}

function codegen(...options: string[]): { code: number | null; output: string } {
  const argv = [join(folder, "scripts", "codegen.js"), ...options];
  const { status, stdout, stderr } = spawnSync(process.execPath, argv, { encoding: "utf8" });
  return { code: status, output: stdout + stderr };
}

test(
  "generated code equals what a published component contains",
  async () => {
    const published = join(PACKAGE, "node_modules", "@convex-dev", "workpool", "src", "component");
    cpSync(published, join(folder, "src", "component"), {
      recursive: true,
      filter: (path) => !path.endsWith("_generated"),
    });
    await generate(folder, "src/component");
    for (const name of ["api.ts", "component.ts", "dataModel.ts"]) {
      expect(read("src/component/_generated", name)).toBe(readFileSync(join(published, "_generated", name), "utf8"));
    }
  },
  60 * SECONDS,
);

test(
  "codegen writes the code of the component and of the app, and the check finds what is not current",
  () => {
    write({ ...COMPONENT, ...APP });
    expect(codegen()).toEqual({ code: 0, output: "" });
    const component = read("src/component/_generated/component.ts");
    expect(component).toContain(`hello: FunctionReference<
          "query",
          "internal",
          { a?: number; b: string },
          null | string,
          Name
        >;`);
    expect(component).not.toContain("hidden");
    expect(read("src/component/_generated/server.ts")).toMatch(
      /readonly GREETED: string;\n *readonly GREETING: string \| undefined;/,
    );
    const app = read("example/convex/_generated/api.d.ts");
    expect(app).toContain(`friendly: import("@gavel/convex/_generated/component.js").ComponentApi<"friendly">;`);
    expect(app).toContain(`greeter: import("@gavel/convex/_generated/component.js").ComponentApi<"greeter">;`);
    expect(app).toContain("numbers: typeof numbers;");

    write({ "src/component/_generated/component.ts": component.replace("a?: number", "a: number") });
    const { code, output } = codegen("--check");
    expect(code).toBe(1);
    expect(output).toMatch(/^-.*a: number/m);
    expect(output).toMatch(/^\+.*a\?: number/m);
    expect(output).toContain("run `npm run codegen` and commit the result");
    expect(read("src/component/_generated/component.ts")).toContain("a: number");
  },
  120 * SECONDS,
);

test(
  "a module that cannot be imported fails with its error",
  () => {
    write({
      ...COMPONENT,
      "src/component/broken.ts": `export const none = (() => { throw new Error("the module is broken"); })();`,
    });
    const { code, output } = codegen();
    expect(code).toBe(1);
    expect(output).toContain("the module is broken");
  },
  60 * SECONDS,
);
