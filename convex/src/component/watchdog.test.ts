import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { startApp, submit, view, type App } from "../testing/app.js";
import { reportResult, reportRunning } from "../testing/calls.js";
import { accepted, mockIngress, pass, status, type Received } from "../testing/ingress.js";

const MINUTE_MS = 60_000;

let t: App;
let received: Received[];
let log = vi.spyOn(console, "error");
beforeEach(() => {
  vi.useFakeTimers();
  log = vi.spyOn(console, "error").mockImplementation(() => {});
  received = mockIngress(accepted);
  t = startApp();
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
  vi.unstubAllEnvs();
  vi.useRealTimers();
});

describe("the watchdog", () => {
  test("asks again with growing pauses, and ends in an error after an hour", async () => {
    const id = await submit(t);
    const calls: number[] = [];
    for (const minutes of [0.9, 0.2, 2, 4, 8, 16, 29]) {
      await pass(t, minutes * MINUTE_MS);
      calls.push(received.length);
    }
    expect(calls).toEqual([1, 2, 3, 4, 5, 6, 6]);
    expect(new Set(received.map(({ body }) => body)).size).toBe(1);
    expect(await view(t, id)).toMatchObject({ status: "queued" });
    expect(log).not.toHaveBeenCalled();
    await pass(t, 2 * MINUTE_MS);
    expect(await view(t, id)).toMatchObject({
      status: "error",
      firstFailure: { errorMessage: "The judge has not answered for an hour. Please submit again." },
    });
    expect(String(log.mock.calls[0])).toMatch(/gavel doctor.*CONVEX_SITE_URL/);
    await pass(t, 120 * MINUTE_MS);
    expect(received).toHaveLength(6);
    expect((await reportResult(t, id, { status: "passed" })).status).toBe(200);
    expect(await view(t, id)).toMatchObject({ status: "passed", generation: 1 });
  }, 60_000);

  test("asks nothing more after a verdict", async () => {
    const id = await submit(t);
    await pass(t, 1_000);
    await reportResult(t, id, { status: "passed" });
    await pass(t, 120 * MINUTE_MS);
    expect(received).toHaveLength(1);
    expect(await view(t, id)).toMatchObject({ status: "passed" });
  });

  test("ends a submission that runs for too long", async () => {
    const id = await submit(t);
    await reportRunning(t, id);
    await pass(t, 62 * MINUTE_MS);
    expect(await view(t, id)).toMatchObject({ status: "error", generation: 1 });
    expect(received).toHaveLength(6);
    expect((await reportResult(t, id, { status: "failed" })).status).toBe(200);
    expect(await view(t, id)).toMatchObject({ status: "failed" });
  }, 60_000);

  test("watches a rejudge for another hour", async () => {
    const id = await submit(t);
    await reportResult(t, id, { status: "failed" });
    await pass(t, 30_000);
    await reportRunning(t, id, 2);
    await pass(t, 60.8 * MINUTE_MS);
    expect(await view(t, id)).toMatchObject({ status: "running", generation: 2 });
    await pass(t, MINUTE_MS);
    expect(await view(t, id)).toMatchObject({ status: "error", generation: 2 });
    expect(received).toHaveLength(6);
  }, 60_000);

  test("watches a rejudge of a submission that still ran for another hour", async () => {
    const id = await submit(t);
    await reportRunning(t, id);
    await pass(t, 60 * MINUTE_MS);
    await reportRunning(t, id, 2);
    await pass(t, 60.8 * MINUTE_MS);
    expect(await view(t, id)).toMatchObject({ status: "running", generation: 2 });
    await pass(t, MINUTE_MS);
    expect(await view(t, id)).toMatchObject({ status: "error", generation: 2 });
  }, 60_000);

  test("does not end an accepted submission because a repeated call is refused", async () => {
    const id = await submit(t);
    await pass(t, 1_000);
    received = mockIngress(status(401));
    await pass(t, 2 * MINUTE_MS);
    expect(received).toHaveLength(1);
    expect(await view(t, id)).toMatchObject({ status: "queued" });
  });
});
