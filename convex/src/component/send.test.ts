import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { startApp, submit, view, type App } from "../testing/app.js";
import { reportResult, reportRunning } from "../testing/calls.js";
import { accepted, mockIngress, pass, silence, status } from "../testing/ingress.js";

let t: App;
let log = vi.spyOn(console, "error");
beforeEach(() => {
  vi.useFakeTimers();
  log = vi.spyOn(console, "error").mockImplementation(() => {});
  t = startApp();
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
  vi.unstubAllEnvs();
  vi.useRealTimers();
});

const OUR_FAULT = "The judge is not available because of a problem on our side. Please try again later.";

function logged(): string {
  return log.mock.calls.map(([text]) => String(text)).join("\n");
}

async function expectError(submissionId: string, learner: string, developer: string | RegExp): Promise<void> {
  expect(await view(t, submissionId)).toMatchObject({
    status: "error",
    generation: 0,
    finishedAt: expect.any(Number) as number,
    firstFailure: { errorMessage: learner },
  });
  expect(logged()).toContain(`Submission ${submissionId} ends in error.`);
  expect(logged()).toMatch(developer);
}

describe("the call of the judge", () => {
  test("carries body, key, trace and request id", async () => {
    const received = mockIngress(accepted);
    const id = await submit(t, "ada", { kind: "personalized" });
    await pass(t, 1_000);
    expect(received).toHaveLength(1);
    const { url, method, headers, body } = received[0]!;
    expect([url, method]).toEqual(["https://judge.example.com/v1/judge-question", "POST"]);
    expect(JSON.parse(body)).toEqual({
      questionId: "k57",
      submissionId: id,
      languageId: 71,
      sourceCode: "print(1)",
      submissionKind: "personalized",
    });
    expect(headers.get("authorization")).toBe("Bearer key-1");
    expect(headers.get("content-type")).toBe("application/json");
    expect(headers.get("traceparent")).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/);
    expect(headers.get("traceparent")).toContain(headers.get("x-request-id")!);
    expect(await view(t, id)).toMatchObject({ status: "queued", generation: 0 });
    expect(log).not.toHaveBeenCalled();
  });

  test.each([
    ["https://judge.example.com/", "https://judge.example.com/v1/judge-question"],
    [" http://127.0.0.1:4001 ", "http://127.0.0.1:4001/v1/judge-question"],
    ["https://example.com/gavel", "https://example.com/gavel/v1/judge-question"],
  ])("goes from the base URL %j to %s", async (base, expected) => {
    const received = mockIngress(accepted);
    vi.stubEnv("GAVEL_URL", base);
    vi.stubEnv("GAVEL_KEY", "");
    await submit(t);
    await pass(t, 1_000);
    expect(received[0]!.url).toBe(expected);
    expect(received[0]!.headers.has("authorization")).toBe(false);
  });

  test("is repeated with a new span after 500, 408, 425, 429, 503 and no connection, until 202", async () => {
    const received = mockIngress(
      status(500, "oops"),
      status(408),
      status(425),
      status(429, "", { "retry-after": "1" }),
      status(503, "", { "retry-after": "1" }),
      () => Promise.reject(new TypeError("fetch failed")),
      accepted,
    );
    const id = await submit(t);
    await pass(t, 60_000);
    expect(received).toHaveLength(7);
    const traces = received.map(({ headers }) => headers.get("traceparent")!.split("-"));
    expect(new Set(traces.map(([, trace]) => trace)).size).toBe(1);
    expect(new Set(traces.map(([, , span]) => span)).size).toBe(7);
    expect(await view(t, id)).toMatchObject({ status: "queued" });
    expect(logged()).not.toContain("ends in error");
  });

  test("is repeated after 5 s without an answer", async () => {
    const received = mockIngress(silence, accepted);
    await submit(t);
    await pass(t, 4_500, 500);
    expect(received).toHaveLength(1);
    await pass(t, 4_000, 500);
    expect(received).toHaveLength(2);
    expect(logged()).toContain("cannot call Gavel at https://judge.example.com: no answer within 5 s.");
  }, 30_000);

  test("ends in error after 8 failures within about a minute", async () => {
    const received = mockIngress(status(503, "queue unavailable"));
    const id = await submit(t);
    await pass(t, 20_000);
    expect(await view(t, id)).toMatchObject({ status: "queued" });
    await pass(t, 39_000);
    // Above 8 the watchdog would have asked again.
    expect(received.length).toBeGreaterThanOrEqual(7);
    await pass(t, 60_000);
    await expectError(
      id,
      "The judge could not be reached. Please submit again in a few minutes.",
      /No attempt to reach Gavel succeeded. Last failure: .*answered 503: queue unavailable/,
    );
  });
});

describe("a final answer", () => {
  test.each([
    ["", "GAVEL_URL is not set"],
    ["judge.example.com", "GAVEL_URL is not a URL"],
    ["localhost:4001", "GAVEL_URL is not a URL"],
    ["ftp://judge.example.com", "GAVEL_URL is not a URL"],
  ])("is given for the URL %j without a call", async (url, developer) => {
    const received = mockIngress(accepted);
    vi.stubEnv("GAVEL_URL", url);
    const id = await submit(t);
    await pass(t, 1_000);
    await expectError(id, OUR_FAULT, `${developer}`);
    expect(logged()).toContain("npx convex env set GAVEL_URL https://judge.example.com");
    expect(received).toEqual([]);
  });

  test.each([
    ["key-1", "Gavel refused the key in GAVEL_KEY"],
    ["", "Gavel needs a key, but GAVEL_KEY is not set"],
  ])("of 401 with the key %j names the variable", async (key, developer) => {
    const received = mockIngress(status(401, '{"status":"error"}'));
    vi.stubEnv("GAVEL_KEY", key);
    const id = await submit(t);
    await pass(t, 5_000);
    await expectError(id, OUR_FAULT, developer);
    expect(logged()).toContain("npx convex env set GAVEL_KEY");
    expect(logged()).not.toContain("key-1");
    expect(received).toHaveLength(1);
  });

  test.each([
    [
      400,
      "sourceCode exceeds MAX_SOURCE_BYTES",
      "The source is too large for this judge. Please shorten it and submit again.",
    ],
    [413, "", "The source is too large for this judge. Please shorten it and submit again."],
    [400, "Invalid request body", OUR_FAULT],
    [404, "<html>nginx</html>", OUR_FAULT],
    [200, "hello", OUR_FAULT],
  ])("of %d %j is a sentence for the learner, and the log quotes it", async (code, text, learner) => {
    const received = mockIngress(status(code, text));
    const id = await submit(t);
    await pass(t, 5_000);
    await expectError(id, learner, text || "413");
    expect(received).toHaveLength(1);
  });

  test("changes nothing once a judge runs the submission", async () => {
    let answer = (_response: Response): void => {};
    const received = mockIngress(() => new Promise<Response>((resolve) => (answer = resolve)));
    const id = await submit(t);
    await pass(t, 1_000);
    await reportRunning(t, id);
    answer(status(401)());
    await pass(t, 5_000);
    expect(received).toHaveLength(1);
    expect(await view(t, id)).toMatchObject({ status: "running" });
  });

  test("of this package gives way to a later result", async () => {
    mockIngress(status(401));
    const id = await submit(t);
    await pass(t, 5_000);
    expect(await view(t, id)).toMatchObject({ status: "error" });
    const passed = { status: "passed", passedCount: 1, totalCount: 1 };
    expect((await reportResult(t, id, passed)).status).toBe(200);
    const stored = await view(t, id);
    expect(stored).toMatchObject({ ...passed, generation: 1 });
    expect(stored.firstFailure).toBeUndefined();
  });
});
