import { convexTest } from "convex-test";
import { register } from "@gavel/convex/test";
import { expect, test, vi, beforeEach, afterEach } from "vitest";
import { accepted, mockIngress, pass } from "../../src/testing/ingress.js";
import { call, PATHS, reportResult, reportRunning, SECRET } from "../../src/testing/calls.js";
import type { App } from "../../src/testing/app.js";
import { api, internal } from "./_generated/api.js";
import schema from "./schema.js";

const modules = import.meta.glob("./**/*.*s");

function startExample() {
  const t = convexTest({ schema, modules });
  register(t);
  return t;
}

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubEnv("GAVEL_SIGNING_SECRETS", SECRET);
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
  vi.unstubAllEnvs();
});

test("submission_is_sent_judged_and_shown", async () => {
  const t = startExample();
  const app = t as unknown as App;
  const received = mockIngress(accepted);
  await t.mutation(internal.seed.run, {});
  const question = (await t.query(api.questions.get, { slug: "sum" }))!;
  const ada = t.withIdentity({ subject: "ada" });
  const submissionId = await ada.mutation(api.judge.submit, {
    questionId: question.questionId,
    languageId: 71,
    sourceCode: "print(3)",
  });
  await pass(app, 1_000);
  expect(received).toHaveLength(1);
  expect(JSON.parse(received[0]!.body)).toEqual({
    questionId: question.questionId,
    submissionId,
    languageId: 71,
    sourceCode: "print(3)",
    submissionKind: "standard",
  });
  const answer = await call(app, PATHS.testcases, { questionId: question.questionId }, "testcases-1");
  expect(answer.status).toBe(200);
  const data = (await answer.json()) as { testCases: unknown[] };
  expect(data.testCases).toHaveLength(5);
  expect((await reportRunning(app, submissionId)).status).toBe(200);
  expect(await ada.query(api.judge.submission, { submissionId })).toMatchObject({ status: "running", generation: 1 });
  const passed = { status: "passed", passedCount: 5, totalCount: 5, durationMs: 80 };
  expect((await reportResult(app, submissionId, passed)).status).toBe(200);
  expect(await ada.query(api.judge.submission, { submissionId })).toMatchObject(passed);
});
