import { internalMutationGeneric, makeFunctionReference } from "convex/server";
import { v, type Infer } from "convex/values";
import { afterEach, beforeEach, describe, expect, expectTypeOf, test, vi } from "vitest";
import { MAX_TEXT_BYTES, byteLength } from "../component/limits.js";
import { gavel, limits, startApp, submit, testCases, view } from "../testing/app.js";
import { call, callbackId, OTHER_SECRET, PATHS, reportResult, SECRET } from "../testing/calls.js";
import { mockIngress, silence } from "../testing/ingress.js";
import { vResultEvent } from "./resultEvent.js";
import type { ResultEvent } from "./types.js";

let log = vi.spyOn(console, "error");
beforeEach(() => {
  vi.useFakeTimers();
  mockIngress(silence);
  log = vi.spyOn(console, "error").mockImplementation(() => {});
  vi.spyOn(console, "warn").mockImplementation(() => {});
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
  vi.unstubAllEnvs();
  vi.useRealTimers();
});

describe("the body of a callback", () => {
  test.each([
    [{}, "submissionId must be a text that is not empty."],
    [{ submissionId: 1 }, "submissionId must be a text that is not empty."],
    [{ submissionId: null }, "submissionId must be a text that is not empty."],
    [{ submissionId: "" }, "submissionId must be a text that is not empty."],
  ])("running refuses %j", async (body, message) => {
    const answer = await call(startApp(), PATHS.running, body, "doctor-00ff");
    expect(answer.status).toBe(400);
    expect(((await answer.json()) as { message: string }).message).toMatch(/webhook-id|submissionId/);
    const unsigned = startApp({ tokens: ["token"] });
    const headers = { authorization: "Bearer token" };
    const plain = await unsigned.fetch(PATHS.running, { method: "POST", body: JSON.stringify(body), headers });
    expect([plain.status, await plain.json()]).toEqual([400, { ok: false, message }]);
  });

  test.each([
    [{}, "status must be passed, failed or error."],
    [{ status: "running" }, "status must be passed, failed or error."],
    [{ status: "passed", passedCount: null }, "passedCount must be a whole number of at least 0."],
    [{ status: "passed", totalCount: "3" }, "totalCount must be a whole number of at least 0."],
    [{ status: "passed", firstFailureIndex: -1 }, "firstFailureIndex must be a whole number of at least 0."],
    [{ status: "passed", durationMs: 0.5 }, "durationMs must be a whole number of at least 0."],
    [{ status: "failed", stderr: null }, "stderr must be a text."],
    [{ status: "failed", compileOutput: 1 }, "compileOutput must be a text."],
    [{ status: "failed", firstFailure: null }, "firstFailure must be an object."],
    [{ status: "failed", firstFailure: [] }, "firstFailure must be an object."],
    [{ status: "failed", firstFailure: { stdin: 1 } }, "firstFailure.stdin must be a text."],
    [{ status: "failed", firstFailure: { errorMessage: null } }, "firstFailure.errorMessage must be a text."],
  ])("result refuses %j", async (result, message) => {
    const t = startApp();
    const id = await submit(t);
    const answer = await reportResult(t, id, result);
    expect([answer.status, await answer.json()]).toEqual([400, { ok: false, message }]);
    expect(await view(t, id)).toMatchObject({ status: "queued" });
  });

  test("keys of later versions are ignored", async () => {
    const t = startApp();
    const id = await submit(t);
    const result = { status: "failed", score: 3, firstFailure: { errorMessage: "Wrong answer", hint: "no" } };
    expect((await reportResult(t, id, result)).status).toBe(200);
    const stored = await view(t, id);
    expect(stored).toMatchObject({ status: "failed", firstFailure: { errorMessage: "Wrong answer" } });
    expect(JSON.stringify(stored)).not.toMatch(/score|hint/);
  });

  test("texts are cut at a character boundary and are valid Unicode", async () => {
    const t = startApp();
    const id = await submit(t);
    const long = "€".repeat(30_000);
    const result = {
      status: "failed",
      firstFailure: { stdin: long, actualOutput: long, expectedOutput: "\ud800", errorMessage: `x${long}` },
      stderr: `xy${long}`,
    };
    expect((await reportResult(t, id, result)).status).toBe(200);
    const { firstFailure, stderr } = await view(t, id);
    expect(firstFailure!.expectedOutput).toBe("\ufffd");
    for (const text of [firstFailure!.stdin!, firstFailure!.actualOutput!, firstFailure!.errorMessage!, stderr!]) {
      expect(byteLength(text)).toBeLessThanOrEqual(MAX_TEXT_BYTES);
      expect(byteLength(text)).toBeGreaterThan(MAX_TEXT_BYTES - 4);
      expect(text).toMatch(/^x?y?€+\n… \(truncated\)$/);
    }
    expect((await reportResult(t, id, result)).status).toBe(200);
  });
});

describe("test cases", () => {
  test("of the package's tables go to the judge in order, the hidden ones too", async () => {
    const t = startApp();
    const questionId = await t.run((ctx) => gavel.addQuestion(ctx, { ...limits, testCases }));
    const answer = await call(t, PATHS.testcases, { questionId }, "testcases-1");
    expect(answer.status).toBe(200);
    const data = (await answer.json()) as { question: object; testCases: object[] };
    expect(data.question).toEqual({ _id: questionId, ...limits });
    expect(data.testCases).toMatchObject(testCases.map((testCase, order) => ({ ...testCase, order })));
  });

  test("of an unknown question or one of the other kind are not found", async () => {
    const t = startApp();
    const questionId = await t.run((ctx) => gavel.addQuestion(ctx, { ...limits, testCases }));
    expect((await call(t, PATHS.testcases, { questionId: "k57" }, "testcases-1")).status).toBe(404);
    const personalized = "/coding/personalized-testcases";
    expect((await call(t, personalized, { questionId }, "testcases-2")).status).toBe(404);
  });

  test("of a question without any are an empty list, of which Gavel tells the learner", async () => {
    const t = startApp();
    const questionId = await t.run((ctx) => gavel.addQuestion(ctx, { ...limits, testCases: [] }));
    const answer = await call(t, PATHS.testcases, { questionId }, "testcases-1");
    expect([answer.status, ((await answer.json()) as { testCases: object[] }).testCases]).toEqual([200, []]);
  });

  test("come from the app if it loads its own questions", async () => {
    const asked: object[] = [];
    const t = startApp({
      secrets: [SECRET],
      loadQuestion: (_ctx, args) => {
        asked.push(args);
        const found = { question: { _id: "k57", ...limits }, testCases: [] };
        return Promise.resolve(args.questionId === "k57" ? found : null);
      },
    });
    const answer = await call(t, "/coding/personalized-testcases", { questionId: "k57" }, "testcases-1");
    expect([answer.status, await answer.json()]).toEqual([200, { question: { _id: "k57", ...limits }, testCases: [] }]);
    expect((await call(t, PATHS.testcases, { questionId: "k58" }, "testcases-2")).status).toBe(404);
    expect(asked).toEqual([
      { questionId: "k57", kind: "personalized" },
      { questionId: "k58", kind: "standard" },
    ]);
  });

  test("a replayed call is refused", async () => {
    const t = startApp();
    const questionId = await t.run((ctx) => gavel.addQuestion(ctx, { ...limits, testCases }));
    expect((await call(t, PATHS.testcases, { questionId }, "testcases-1")).status).toBe(200);
    const replay = await call(t, PATHS.testcases, { questionId }, "testcases-1");
    expect(replay.status).toBe(401);
    expect(await replay.text()).not.toContain("secret");
    expect((await call(t, PATHS.testcases, { questionId }, "testcases-2")).status).toBe(200);
  });

  test("an error of the app is a 503, and the next call succeeds", async () => {
    let fails = true;
    const t = startApp({
      secrets: [SECRET],
      loadQuestion: () => {
        if (fails) {
          throw new Error("database of the app is down");
        }
        return Promise.resolve({ question: { _id: "k57", ...limits }, testCases: [] });
      },
    });
    const answer = await call(t, PATHS.testcases, { questionId: "k57" }, "testcases-1");
    expect([answer.status, answer.headers.get("retry-after")]).toEqual([503, "1"]);
    expect(await answer.text()).not.toContain("database");
    expect(String(log.mock.calls[0])).toContain("/coding/testcases failed");
    fails = false;
    expect((await call(t, PATHS.testcases, { questionId: "k57" }, "testcases-2")).status).toBe(200);
  });

  test("gavel doctor gets 400 from each route", async () => {
    const t = startApp();
    for (const path of Object.values(PATHS).flatMap((path) => [
      path,
      path.replace("/coding/", "/coding/personalized-"),
    ])) {
      expect((await call(t, path, {}, `doctor-${path.length}`)).status).toBe(400);
    }
  });
});

describe("onResult", () => {
  const events: ResultEvent[] = [];
  let fails = false;
  const record = internalMutationGeneric({
    args: vResultEvent.fields,
    returns: v.null(),
    handler: (_ctx, event) => {
      if (fails) {
        throw new Error("the app refuses");
      }
      events.push(event);
      return null;
    },
  });
  const onResult = makeFunctionReference<"mutation", ResultEvent, null>("app:record");
  const start = () => startApp({ secrets: [SECRET], onResult }, { record });
  beforeEach(() => {
    events.length = 0;
    fails = false;
  });

  test("has the arguments that vResultEvent describes", () => {
    expectTypeOf<Infer<typeof vResultEvent>>().toEqualTypeOf<ResultEvent>();
  });

  test("runs once for each result that is stored", async () => {
    const t = start();
    const id = await submit(t);
    await reportResult(t, id, { status: "failed" });
    await reportResult(t, id, { status: "failed" });
    await reportResult(t, id, { status: "failed" }, { kind: "last-word" });
    await reportResult(t, id, { status: "passed" });
    const event = { submissionId: id, userId: "ada", questionId: "k57" };
    expect(events).toEqual([{ ...event, status: "failed", generation: 1 }]);
    await reportResult(t, id, { status: "passed" }, { generation: 2 });
    expect(events[1]).toEqual({ ...event, status: "passed", generation: 2 });
    expect(events).toHaveLength(2);
  });

  test("stores nothing if it throws, and the repeated call succeeds", async () => {
    const t = start();
    const id = await submit(t);
    fails = true;
    expect((await reportResult(t, id, { status: "passed" })).status).toBe(503);
    expect(await view(t, id)).toMatchObject({ status: "queued", generation: 0 });
    fails = false;
    expect((await reportResult(t, id, { status: "passed" })).status).toBe(200);
    expect(await view(t, id)).toMatchObject({ status: "passed", generation: 1 });
    expect(events).toHaveLength(1);
  });
});

describe("configuration by environment variables", () => {
  test("secrets and tokens are lists that are read at each call", async () => {
    const t = startApp({});
    const id = await submit(t);
    const running = (signature: object) =>
      call(t, PATHS.running, { submissionId: id }, callbackId("running", id), signature);
    expect((await running({})).status).toBe(503);
    expect(await view(t, id)).toMatchObject({ status: "queued" });
    vi.stubEnv("GAVEL_SIGNING_SECRETS", ` ${OTHER_SECRET}, ${SECRET} ,`);
    expect((await running({ secrets: [SECRET] })).status).toBe(200);
    vi.stubEnv("GAVEL_TOKENS", "token-1,token-2");
    expect((await running({})).status).toBe(401);
    expect((await running({ token: "token-2" })).status).toBe(200);
  });
});
