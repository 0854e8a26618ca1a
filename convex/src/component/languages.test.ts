import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { judgeApi, startApp, type App } from "../testing/app.js";
import { mockIngress, pass, status } from "../testing/ingress.js";

const python = { id: 71, name: "Python", version: "3.12.3", engines: ["sandbox"], judges: 2 };
const list = () => Response.json({ judges: 2, languages: [{ ...python, later: true }], later: {} });

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

const ada = () => t.withIdentity({ subject: "ada" });
const refresh = async () => {
  await ada().mutation(judgeApi.refreshLanguages, {});
  await pass(t, 1_000);
};
const languages = () => ada().query(judgeApi.languages, {});

test("are null until they are requested", async () => {
  expect(await languages()).toBeNull();
});

test("are fetched with the key, at most once in a minute", async () => {
  const received = mockIngress(list);
  const before = Date.now();
  await refresh();
  const { url, method, headers } = received[0]!;
  expect([method, url]).toEqual(["GET", "https://judge.example.com/v1/languages"]);
  expect(headers.get("authorization")).toBe("Bearer key-1");
  const fetched = await languages();
  expect(fetched).toEqual({ judges: 2, languages: [python], fetchedAt: fetched!.fetchedAt });
  expect(fetched!.fetchedAt).toBeGreaterThanOrEqual(before);
  await refresh();
  await pass(t, 50_000);
  await refresh();
  expect(received).toHaveLength(1);
  await pass(t, 10_000);
  await refresh();
  expect(received).toHaveLength(2);
  expect((await languages())!.fetchedAt).toBeGreaterThan(fetched!.fetchedAt);
});

test.each([
  [status(503, "no NATS"), "answered 503: no NATS"],
  [status(401), "npx convex env set GAVEL_KEY"],
  [status(404, "not Gavel"), "Gavel answered 404 instead of 200: not Gavel"],
  [status(200, "<html>"), "not valid JSON"],
  [status(200, "{}"), "no list of languages"],
  [status(200, '{"judges":1,"languages":[{"id":"71"}]}'), "Validator"],
  [() => Promise.reject(new TypeError("fetch failed")), "cannot call Gavel"],
])("keep the last list and a sentence after a failure (%#)", async (failure, developer) => {
  const received = mockIngress(list, failure, list);
  await refresh();
  await pass(t, 60_000);
  await refresh();
  expect(await languages()).toMatchObject({
    judges: 2,
    languages: [python],
    problem: "The list of languages could not be loaded. Please try again later.",
  });
  expect(log.mock.calls.flat().map(String).join("\n")).toContain(developer);
  await pass(t, 5_000);
  await refresh();
  expect(received).toHaveLength(3);
  expect((await languages())!.problem).toBeUndefined();
});

test("are fetched again after 5 s while no judge runs", async () => {
  const none = () => Response.json({ judges: 0, languages: [] });
  const received = mockIngress(none, none, list);
  for (const judges of [0, 0, 2]) {
    await refresh();
    expect(await languages()).toMatchObject({ judges });
    await pass(t, 2_000);
    await refresh();
    await pass(t, 2_000);
  }
  expect(received).toHaveLength(3);
});

test("have a problem and no time if Gavel never answered", async () => {
  vi.stubEnv("GAVEL_URL", "");
  await refresh();
  expect(await languages()).toMatchObject({ judges: 0, languages: [], fetchedAt: 0 });
  expect((await languages())!.problem).toBeDefined();
  expect(log.mock.calls.flat().map(String).join("\n")).toContain("GAVEL_URL is not set");
});

test("need a user", async () => {
  await expect(t.mutation(judgeApi.refreshLanguages, {})).rejects.toThrow("unauthenticated");
  mockIngress(list);
  await refresh();
  expect(await t.query(judgeApi.languages, {})).toBeNull();
});
