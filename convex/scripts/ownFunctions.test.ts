import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import workpool from "@convex-dev/workpool/test";
import { convexTest } from "convex-test";
import type { GenericMutationCtx, GenericSchema, SchemaDefinition } from "convex/server";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import type { App } from "../src/testing/app.js";
import { call, callbackId, OTHER_SECRET, PATHS, reportResult, reportRunning, SECRET } from "../src/testing/calls.js";
import { accepted, mockIngress, pass, status } from "../src/testing/ingress.js";
import { PACKAGE } from "./copy.js";
import { OWN_FUNCTIONS, OWN_QUESTIONS } from "./ownApp.js";
import { filesOf } from "./readme.js";

type Modules = Record<string, () => Promise<Record<string, unknown>>>;
type Enqueue = (ctx: GenericMutationCtx<never>, request: object) => Promise<void>;

/** The app: the blocks of the text as files, and what `convex codegen` adds to each app. */
let folder: string;
const modules: Modules = {};
let t: App;
let id: string;
let log = vi.spyOn(console, "error");

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "own-functions-"));
  mkdirSync(join(folder, "convex"));
  symlinkSync(join(PACKAGE, "node_modules"), join(folder, "node_modules"));
  cpSync(join(PACKAGE, "example/convex/_generated"), join(folder, "convex/_generated"), { recursive: true });
  const shown = filesOf(readFileSync(join(PACKAGE, OWN_FUNCTIONS.path), "utf8"));
  for (const [path, text] of [...shown, ...Object.entries(OWN_QUESTIONS)]) {
    writeFileSync(join(folder, path), text);
    modules[`./${path}`] = () => import(/* @vite-ignore */ join(folder, path)) as Promise<Record<string, unknown>>;
  }
  modules["./convex/_generated/api.js"] = () => Promise.resolve({});
});
afterAll(() => rmSync(folder, { recursive: true }));

beforeEach(async () => {
  vi.useFakeTimers();
  vi.stubEnv("GAVEL_SIGNING_SECRETS", `${OTHER_SECRET}, ${SECRET}`);
  log = vi.spyOn(console, "error").mockImplementation(() => {});
  vi.spyOn(console, "warn").mockImplementation(() => {});
  vi.spyOn(console, "info").mockImplementation(() => {});
  const { default: schema } = await modules["./convex/schema.ts"]!();
  t = convexTest({ schema: schema as SchemaDefinition<GenericSchema, boolean>, modules });
  workpool.register(t);
  id = await t.run((ctx) => ctx.db.insert("submissions", { status: "queued" }));
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
  vi.unstubAllEnvs();
  vi.useRealTimers();
});

/** The stored submission, without the fields that Convex adds. */
async function stored() {
  const submission = (await t.run((ctx) => ctx.db.get(id as never))) as Record<string, unknown>;
  const { _id, _creationTime, ...fields } = submission;
  return fields;
}

const FAILED = {
  status: "failed",
  passedCount: 1,
  totalCount: 3,
  firstFailureIndex: 1,
  firstFailure: { actualOutput: "4\n", errorMessage: "Wrong answer" },
  stderr: "warning",
  durationMs: 812,
};
const PASSED = { status: "passed", passedCount: 3, totalCount: 3, durationMs: 640 };

test("the text shows each file of the app", () => {
  const shown = filesOf(readFileSync(join(PACKAGE, OWN_FUNCTIONS.path), "utf8"));
  expect([...shown.keys()].sort()).toEqual(OWN_FUNCTIONS.files);
});

describe("verification", () => {
  test("a call that is not signed with one of the secrets changes nothing", async () => {
    const webhookId = callbackId("running", id);
    const forged = { secrets: ["whsec_BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB"] };
    expect((await call(t, PATHS.running, { submissionId: id }, webhookId, forged)).status).toBe(401);
    expect((await call(t, PATHS.running, { submissionId: id }, webhookId, { ageSeconds: 301 })).status).toBe(401);
    expect((await t.fetch(PATHS.running, { method: "POST", body: "{}" })).status).toBe(401);
    vi.stubEnv("GAVEL_SIGNING_SECRETS", undefined);
    expect((await reportRunning(t, id)).status).toBe(503);
    expect(await stored()).toEqual({ status: "queued" });
  });

  test("gavel doctor gets 400 from each route", async () => {
    for (const path of Object.values(PATHS)) {
      for (const route of [path, path.replace("/coding/", "/coding/personalized-")]) {
        expect((await call(t, route, {}, `doctor-${route.length}`)).status).toBe(400);
      }
    }
  });

  test("a test-case call is answered once", async () => {
    for (const [kind, path] of [
      ["standard", PATHS.testcases],
      ["personalized", "/coding/personalized-testcases"],
    ] as const) {
      const ask = (webhookId: string, questionId = "k57") => call(t, path, { questionId }, `testcases-${webhookId}`);
      const answer = await ask(`${kind}-1`);
      expect([answer.status, await answer.json()]).toEqual([200, { question: { _id: "k57", kind }, testCases: [] }]);
      expect((await ask(`${kind}-1`)).status).toBe(401);
      expect((await ask(`${kind}-2`)).status).toBe(200);
      expect((await ask(`${kind}-3`, "k58")).status).toBe(404);
    }
  });

  test("the ids of test-case calls are forgotten after eleven minutes", async () => {
    const count = () => t.run(async (ctx) => (await ctx.db.query("testCaseCalls").collect()).length);
    await call(t, PATHS.testcases, { questionId: "k57" }, "testcases-1");
    await pass(t, 10 * 60_000, 60_000);
    expect(await count()).toBe(1);
    await pass(t, 61_000, 1_000);
    expect(await count()).toBe(0);
  });
});

describe("order", () => {
  test("running, then the result; late and repeated calls change nothing", async () => {
    expect((await reportRunning(t, id)).status).toBe(200);
    expect(await stored()).toEqual({ status: "running", rank: 2 });
    expect((await reportResult(t, id, FAILED)).status).toBe(200);
    expect(await stored()).toEqual({ ...FAILED, rank: 3 });
    expect((await reportRunning(t, id)).status).toBe(200);
    expect((await reportResult(t, id, FAILED)).status).toBe(200);
    expect((await reportResult(t, id, PASSED, { kind: "last-word" })).status).toBe(200);
    expect(await stored()).toEqual({ ...FAILED, rank: 3 });
  });

  test("a rejudge clears what its callbacks leave out", async () => {
    await reportResult(t, id, FAILED);
    expect((await reportRunning(t, id, 2)).status).toBe(200);
    expect(await stored()).toEqual({ status: "running", rank: 4 });
    expect((await reportResult(t, id, PASSED, { generation: 2 })).status).toBe(200);
    expect(await stored()).toEqual({ ...PASSED, rank: 5 });
    expect((await reportResult(t, id, FAILED)).status).toBe(200);
    expect(await stored()).toEqual({ ...PASSED, rank: 5 });
  });

  test("a field of a later Gavel is ignored", async () => {
    expect((await reportResult(t, id, { ...PASSED, score: 3 })).status).toBe(200);
    expect(await stored()).toEqual({ ...PASSED, rank: 3 });
  });

  test("the personalized routes report, too", async () => {
    const path = (name: string) => name.replace("/coding/", "/coding/personalized-");
    const submissionId = id;
    await call(t, path(PATHS.running), { submissionId }, callbackId("running", id));
    expect(await stored()).toEqual({ status: "running", rank: 2 });
    await call(t, path(PATHS.result), { submissionId, ...PASSED }, callbackId("result", id));
    expect(await stored()).toEqual({ ...PASSED, rank: 3 });
  });

  test("an unknown submission is a 422", async () => {
    await t.run((ctx) => ctx.db.delete(id as never));
    for (const unknown of [id, "k97"]) {
      expect((await reportRunning(t, unknown)).status).toBe(422);
      expect((await reportResult(t, unknown, PASSED)).status).toBe(422);
    }
  });
});

describe("sending", () => {
  const request = { questionId: "k57", languageId: 71, sourceCode: "print(1)", submissionKind: "personalized" };
  const enqueue = async () => {
    const judge = await modules["./convex/judge.ts"]!();
    await t.run((ctx) => (judge.enqueue as Enqueue)(ctx as never, { ...request, submissionId: id }));
    await pass(t, 5_000);
  };

  test("is repeated until Gavel has the submission", async () => {
    const received = mockIngress(status(503), accepted);
    await enqueue();
    expect(received.map(({ url }) => url)).toEqual(Array(2).fill("https://judge.example.com/v1/judge-question"));
    expect(received[1]!.headers.get("authorization")).toBe("Bearer key-1");
    expect(JSON.parse(received[1]!.body)).toEqual({ ...request, submissionId: id });
    expect(await stored()).toEqual({ status: "queued" });
  });

  test("ends with a sentence for the learner if Gavel refuses the submission, and a result still counts", async () => {
    const received = mockIngress(status(400, "Invalid request body"));
    await enqueue();
    expect(received).toHaveLength(1);
    expect(await stored()).toEqual({
      status: "error",
      firstFailure: { errorMessage: "The judge could not accept your submission. Please submit it again later." },
    });
    expect(String(log.mock.calls)).toContain(`submission ${id}: Gavel answered 400: Invalid request body`);
    expect((await reportResult(t, id, PASSED)).status).toBe(200);
    expect(await stored()).toEqual({ ...PASSED, rank: 3 });
  });

  test("does not replace a result that arrived meanwhile", async () => {
    mockIngress(async () => {
      await reportResult(t, id, PASSED);
      return new Response("", { status: 400 });
    });
    await enqueue();
    expect(await stored()).toEqual({ ...PASSED, rank: 3 });
  });
});
