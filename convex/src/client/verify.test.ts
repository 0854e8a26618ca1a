import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { OTHER_SECRET, SECRET, signedHeaders } from "../testing/calls.js";
import { verifyCallback, type VerifyOptions } from "./verify.js";

const BODY = '{"submissionId":"k97"}';

function request(headers: Record<string, string>, body = BODY, path = "/coding/submission"): Request {
  return new Request(`https://app.convex.site${path}`, { method: "POST", headers, body });
}

async function statusOf(
  headers: Record<string, string>,
  options: VerifyOptions,
  body = BODY,
  path?: string,
): Promise<number> {
  const verified = await verifyCallback(request(headers, body, path), options);
  return verified.ok ? 200 : verified.status;
}

let log = vi.spyOn(console, "error");
let warnings = vi.spyOn(console, "warn");
beforeEach(() => {
  log = vi.spyOn(console, "error").mockImplementation(() => {});
  warnings = vi.spyOn(console, "warn").mockImplementation(() => {});
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
});

describe("verifyCallback with secrets", () => {
  const secrets = [SECRET];
  const signed = (signature = {}) => signedHeaders(BODY, "running-k97~2e2", signature);

  test("returns body, id and generation of a signed call", async () => {
    expect(await verifyCallback(request(signed()), { secrets })).toEqual({
      ok: true,
      body: { submissionId: "k97" },
      webhookId: "running-k97~2e2",
      generation: 2,
    });
  });

  test("accepts the old and the new secret during a rotation", async () => {
    for (const used of [[SECRET], [OTHER_SECRET], [OTHER_SECRET, SECRET]]) {
      expect(await statusOf(signed({ secrets: used }), { secrets: [SECRET, OTHER_SECRET] })).toBe(200);
    }
    expect(await statusOf(signed({ secrets: [SECRET, OTHER_SECRET] }), { secrets })).toBe(200);
    expect(await statusOf(signed({ secrets: [OTHER_SECRET] }), { secrets })).toBe(401);
  });

  test("accepts 300 seconds in both directions", async () => {
    vi.useFakeTimers({ now: 1_800_000_000_000 });
    expect(await statusOf(signed({ ageSeconds: 300 }), { secrets })).toBe(200);
    expect(await statusOf(signed({ ageSeconds: 301 }), { secrets })).toBe(401);
    expect(await statusOf(signed({ ageSeconds: -300 }), { secrets })).toBe(200);
    expect(await statusOf(signed({ ageSeconds: -301 }), { secrets })).toBe(401);
  });

  test("accepts a smaller window", async () => {
    expect(await statusOf(signed({ ageSeconds: 8 }), { secrets, toleranceSeconds: 10 })).toBe(200);
    expect(await statusOf(signed({ ageSeconds: 20 }), { secrets, toleranceSeconds: 10 })).toBe(401);
    expect(await statusOf(signed({ ageSeconds: -20 }), { secrets, toleranceSeconds: 10 })).toBe(401);
  });

  test("refuses a call with another body, id or time than was signed", async () => {
    expect(await statusOf(signed(), { secrets }, '{"submissionId":"k98"}')).toBe(401);
    expect(await statusOf({ ...signed(), "webhook-id": "running-k97~2e3" }, { secrets })).toBe(401);
    const timestamp = String(Math.floor(Date.now() / 1_000) + 1);
    expect(await statusOf({ ...signed(), "webhook-timestamp": timestamp }, { secrets })).toBe(401);
  });

  test.each(["webhook-id", "webhook-timestamp", "webhook-signature"])("refuses a call without %s", async (name) => {
    const { [name]: _, ...rest } = signed();
    expect(await statusOf(rest, { secrets })).toBe(401);
  });

  test.each([
    ["webhook-timestamp", "now"],
    ["webhook-timestamp", "1e9"],
    ["webhook-signature", "v1,"],
    ["webhook-signature", "v2,abc"],
    ["webhook-signature", "v1"],
    ["webhook-signature", ","],
  ])("refuses %s: %s", async (name, value) => {
    expect(await statusOf({ ...signed(), [name]: value }, { secrets })).toBe(401);
  });

  const secretOf = (bytes: number) => `whsec_${btoa("x".repeat(bytes))}`;

  test.each(["", "hello", "whsec_", "whsec_not base64", "bearer-token", SECRET.slice(6), secretOf(23), secretOf(65)])(
    "answers 503 and logs the remedy for the secret %j",
    async (secret) => {
      expect(await statusOf(signed(), { secrets: [SECRET, secret] })).toBe(503);
      expect(String(log.mock.calls[0])).toContain("npx convex env set GAVEL_SIGNING_SECRETS");
      expect(String(log.mock.calls[0])).not.toContain(SECRET);
    },
  );

  test.each([24, 64])("accepts a secret of %i bytes", async (bytes) => {
    const secret = secretOf(bytes);
    expect(await statusOf(signed({ secrets: [secret] }), { secrets: secret })).toBe(200);
  });

  test("takes the value of an environment variable", async () => {
    expect(await statusOf(signed(), { secrets: `${OTHER_SECRET}, ${SECRET} ,` })).toBe(200);
    expect(await statusOf(signed(), { secrets: "," })).toBe(503);
  });

  test.each([
    ["none of the secrets here signed it", signed({ secrets: [OTHER_SECRET] }), "CONVEX_SIGNING_SECRETS"],
    ["it is not signed", {}, "CONVEX_SIGNING_SECRETS"],
    ["its time is more than 300 s from now", signed({ ageSeconds: 400 }), "clock"],
  ])("logs %j with the remedy, and nothing that was sent", async (problem, headers: Record<string, string>, remedy) => {
    expect(await statusOf(headers, { secrets })).toBe(401);
    expect(warnings).toHaveBeenCalledOnce();
    const warning = String(warnings.mock.calls[0]);
    expect(warning).toContain(problem);
    expect(warning).toContain(remedy);
    for (const value of [SECRET, ...Object.values(headers)]) {
      expect(warning).not.toContain(value);
    }
  });

  test("logs nothing for a call that it accepts", async () => {
    expect(await statusOf(signed(), { secrets })).toBe(200);
    expect(warnings).not.toHaveBeenCalled();
  });
});

describe("verifyCallback with tokens", () => {
  const tokens = ["token-1", "token-2"];

  test("accepts each of the tokens, whatever the case of the scheme", async () => {
    expect(await statusOf({ authorization: "Bearer token-1" }, { tokens })).toBe(200);
    expect(await statusOf({ authorization: "bearer token-2" }, { tokens })).toBe(200);
    expect(await statusOf({ authorization: "Bearer token-2" }, { tokens: "token-1, token-2" })).toBe(200);
  });

  test.each(["", "Bearer", "Bearer ", "Bearer token", "Bearer token-1x", "Basic token-1", "token-1"])(
    "refuses %j",
    async (authorization) => {
      expect(await statusOf(authorization ? { authorization } : {}, { tokens })).toBe(401);
      expect(String(warnings.mock.calls)).toContain("set Gavel's CONVEX_TOKEN to one of GAVEL_TOKENS");
      expect(String(warnings.mock.calls)).not.toContain("token-1");
    },
  );

  test("takes the generation from an unsigned webhook-id, and 1 without one", async () => {
    const headers = { authorization: "Bearer token-1" };
    expect(await verifyCallback(request(headers), { tokens })).toMatchObject({ ok: true, generation: 1 });
    const withId = { ...headers, "webhook-id": "running-k97~2e4" };
    expect(await verifyCallback(request(withId), { tokens })).toMatchObject({ ok: true, generation: 4 });
  });

  test("requires both token and signature if both are configured", async () => {
    const both = { secrets: [SECRET], tokens };
    const signed = (token?: string) => signedHeaders(BODY, "running-k97", { token });
    expect(await statusOf(signed("token-1"), both)).toBe(200);
    expect(await statusOf(signed("wrong"), both)).toBe(401);
    expect(await statusOf(signed(), both)).toBe(401);
    expect(await statusOf({ authorization: "Bearer token-1" }, both)).toBe(401);
  });
});

describe("verifyCallback", () => {
  const tokens = ["token-1"];
  const authorization = "Bearer token-1";

  test("answers 503 without a secret and a token, and logs how to set them", async () => {
    for (const options of [{}, { secrets: [], tokens: [] }]) {
      expect(await statusOf({ authorization }, options)).toBe(503);
      expect(String(log.mock.lastCall)).toContain("npx convex env set GAVEL_SIGNING_SECRETS");
      expect(String(log.mock.lastCall)).toContain("npx convex env set GAVEL_TOKENS");
    }
  });

  test.each(["", "{", "null", "[]", '"k97"', "1"])("refuses the body %j", async (body) => {
    expect(await statusOf({ authorization }, { tokens }, body)).toBe(400);
  });

  test("does not parse the body of a caller that is not authorized", async () => {
    expect(await statusOf({}, { tokens }, "{")).toBe(401);
  });

  test("refuses more than 1 MiB, announced or not", async () => {
    const body = JSON.stringify({ submissionId: "k97", filler: "x".repeat(1024 * 1024) });
    expect(await statusOf({ authorization }, { tokens }, body)).toBe(413);
    expect(await statusOf({ authorization, "content-length": "9999999" }, { tokens })).toBe(413);
  });

  test.each(["running-k98", "result-k98~2e2", "last-word-k98", "testcases-k97", "other-k97", "k97"])(
    "refuses the webhook-id %s for the submission k97",
    async (id) => {
      expect(await statusOf({ authorization, "webhook-id": id }, { tokens })).toBe(400);
    },
  );

  test("accepts a test-case call, whose id is random", async () => {
    const headers = { authorization, "webhook-id": "testcases-00ff" };
    expect(await statusOf(headers, { tokens }, '{"questionId":"k57"}')).toBe(200);
  });

  test("binds a call to its path, which the signature does not cover", async () => {
    const paths = ["testcases", "submission-running", "submission-result", "elsewhere"];
    const accepted = async (id: string, body: string) => {
      const statuses = await Promise.all(
        paths.map((path) =>
          statusOf({ authorization, "webhook-id": id }, { tokens }, body, `/coding/personalized-${path}`),
        ),
      );
      return paths.filter((_, index) => statuses[index] === 200);
    };
    const body = '{"submissionId":"k97"}';
    expect(await accepted("running-k97", body)).toEqual(["submission-running", "elsewhere"]);
    expect(await accepted("result-k97", body)).toEqual(["submission-result", "elsewhere"]);
    expect(await accepted("last-word-k97", body)).toEqual(["submission-result", "elsewhere"]);
    expect(await accepted("testcases-00ff", '{"questionId":"k57"}')).toEqual(["testcases", "elsewhere"]);
  });
});
