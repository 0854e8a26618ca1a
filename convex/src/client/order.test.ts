import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { startApp, submit, view, type App } from "../testing/app.js";
import { call, callbackId, PATHS, reportResult, reportRunning } from "../testing/calls.js";
import { mockIngress, silence } from "../testing/ingress.js";

const failed = {
  status: "failed",
  passedCount: 3,
  totalCount: 10,
  firstFailureIndex: 3,
  firstFailure: { stdin: "1", actualOutput: "2", expectedOutput: "3", errorMessage: "Wrong answer" },
  stderr: "warning",
  compileOutput: "note",
  durationMs: 812,
};
const passed = { status: "passed", passedCount: 10, totalCount: 10, durationMs: 90 };

let t: App;
let id: string;
let log = vi.spyOn(console, "error");
beforeEach(async () => {
  vi.useFakeTimers();
  mockIngress(silence);
  log = vi.spyOn(console, "error").mockImplementation(() => {});
  vi.spyOn(console, "warn").mockImplementation(() => {});
  t = startApp();
  id = await submit(t);
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
  vi.unstubAllEnvs();
  vi.useRealTimers();
});

describe("order of callbacks", () => {
  test("running, then the result, with all its fields", async () => {
    expect(await view(t, id)).toMatchObject({ status: "queued", generation: 0 });
    vi.advanceTimersByTime(1_000);
    const runningAt = Date.now();
    const running = await reportRunning(t, id);
    expect([running.status, await running.json()]).toEqual([200, { ok: true }]);
    expect(await view(t, id)).toMatchObject({ status: "running", generation: 1, runningAt });
    vi.advanceTimersByTime(1_000);
    const result = await reportResult(t, id, failed);
    expect([result.status, await result.json()]).toEqual([200, { ok: true }]);
    expect(await view(t, id)).toMatchObject({ ...failed, generation: 1, runningAt, finishedAt: runningAt + 1_000 });
  });

  test("a late or repeated running changes nothing", async () => {
    await reportRunning(t, id);
    const before = await view(t, id);
    vi.advanceTimersByTime(5_000);
    expect((await reportRunning(t, id)).status).toBe(200);
    expect(await view(t, id)).toEqual(before);
    await reportResult(t, id, failed);
    const final = await view(t, id);
    expect((await reportRunning(t, id)).status).toBe(200);
    expect(await view(t, id)).toEqual(final);
  });

  test("a result needs no running before it", async () => {
    expect((await reportResult(t, id, passed)).status).toBe(200);
    expect(await view(t, id)).toMatchObject({ ...passed, generation: 1 });
  });

  test("a repeated result, also as `last-word`, changes nothing", async () => {
    await reportResult(t, id, failed);
    const before = await view(t, id);
    vi.advanceTimersByTime(5_000);
    expect((await reportResult(t, id, failed)).status).toBe(200);
    expect((await reportResult(t, id, failed, { kind: "last-word" })).status).toBe(200);
    expect(await view(t, id)).toEqual(before);
    expect(log).not.toHaveBeenCalled();
  });

  test("a different result of the same generation is refused and logged", async () => {
    await reportResult(t, id, failed);
    const before = await view(t, id);
    for (const other of [passed, { ...failed, passedCount: 2 }, { ...failed, firstFailure: { stdin: "2" } }]) {
      expect((await reportResult(t, id, other)).status).toBe(409);
      expect((await reportResult(t, id, other, { kind: "last-word" })).status).toBe(409);
    }
    expect(await view(t, id)).toEqual(before);
    expect(log).toHaveBeenCalledTimes(6);
    expect(String(log.mock.calls[0])).toContain(`Submission ${id}: a different result of the same generation`);
  });

  test("a later generation wins, and clears the fields that it does not have", async () => {
    await reportResult(t, id, failed);
    await reportResult(t, id, { ...passed, firstFailure: {}, stderr: "", compileOutput: "" }, { generation: 2 });
    const { submissionId, questionId, kind, languageId, submittedAt, finishedAt, ...rest } = await view(t, id);
    expect(rest).toEqual({ ...passed, generation: 2 });
    await reportResult(t, id, { status: "error" }, { generation: 3 });
    expect(await view(t, id)).toEqual({
      ...{ submissionId, questionId, kind, languageId, submittedAt, finishedAt },
      status: "error",
      generation: 3,
    });
  });

  test("running of a rejudge shows no old result, and a late call of an earlier generation changes nothing", async () => {
    await reportResult(t, id, failed);
    await reportRunning(t, id, 2);
    const running = await view(t, id);
    expect(running).toMatchObject({ status: "running", generation: 2 });
    expect(running.passedCount ?? running.firstFailure ?? running.finishedAt).toBeUndefined();
    expect((await reportRunning(t, id, 1)).status).toBe(200);
    expect((await reportResult(t, id, passed, { generation: 1, kind: "last-word" })).status).toBe(200);
    expect(await view(t, id)).toEqual(running);
    await reportResult(t, id, passed, { generation: 3 });
    expect((await reportResult(t, id, failed, { generation: 2 })).status).toBe(200);
    expect(await view(t, id)).toMatchObject({ ...passed, generation: 3 });
  });

  test("a submission of the other kind, or of no table, is unknown", async () => {
    const personal = await submit(t, "ada", { kind: "personalized" });
    for (const [path, unknown] of [
      [PATHS.running, personal],
      [PATHS.running, "k97"],
      [PATHS.running, "10000;questions"],
      ["/coding/personalized-submission-running", id],
    ] as const) {
      const answer = await call(t, path, { submissionId: unknown }, callbackId("running", unknown));
      expect(answer.status).toBe(422);
    }
    for (const [path, unknown] of [
      [PATHS.result, personal],
      [PATHS.result, "k97"],
      ["/coding/personalized-submission-result", id],
    ] as const) {
      const body = { submissionId: unknown, ...passed };
      expect((await call(t, path, body, callbackId("result", unknown))).status).toBe(422);
    }
    expect(await view(t, id)).toMatchObject({ status: "queued", generation: 0 });
    expect(await view(t, personal)).toMatchObject({ status: "queued", generation: 0 });
    const path = "/coding/personalized-submission-result";
    const body = { submissionId: personal, ...passed };
    expect((await call(t, path, body, callbackId("result", personal))).status).toBe(200);
    expect(await view(t, personal)).toMatchObject(passed);
  });

  test("a forged, stale or tampered call leaves the submission unchanged", async () => {
    const before = await view(t, id);
    const webhookId = callbackId("result", id);
    const other = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    for (const signature of [{ secrets: [other] }, { ageSeconds: 301 }, { ageSeconds: -301 }]) {
      const answer = await call(t, PATHS.result, { submissionId: id, ...passed }, webhookId, signature);
      expect(answer.status).toBe(401);
    }
    expect(await view(t, id)).toEqual(before);
  });

  test("1,000 results that arrive at once are all stored", async () => {
    const ids = [];
    for (let n = 0; n < 1_000; n += 1) {
      ids.push(await submit(t, `user ${n % 50}`));
    }
    const answers = await Promise.all(
      ids.map((id, n) => reportResult(t, id, { status: "passed", passedCount: n, totalCount: 1_000 })),
    );
    expect(answers.filter(({ status }) => status !== 200)).toEqual([]);
    for (const [n, id] of ids.entries()) {
      expect(await view(t, id, `user ${n % 50}`)).toMatchObject({ status: "passed", passedCount: n });
    }
  }, 120_000);
});
