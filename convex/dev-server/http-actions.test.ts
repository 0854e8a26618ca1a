import { afterEach, describe, expect, test, vi } from "vitest";
import { internal } from "./fixture/convex/_generated/api";
import { sharedFixture } from "./testing";

const server = sharedFixture();
afterEach(() => server().faults.clear());

describe("an HTTP action", () => {
  test.each(["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])(
    "gets %s requests as they were sent",
    async (method) => {
      const body = method === "GET" ? null : "five!";
      const headers = { "x-test": "one, two" };
      const response = await fetch(`${server().siteUrl}/echo?a=1&b=%20`, { method, body, headers });
      expect(response.status).toBe(201);
      expect(response.headers.get("x-answer")).toBe("yes");
      const length = body === null ? 0 : 5;
      const expected = { method, path: "/echo?a=1&b=%20", header: "one, two", length, subject: null };
      expect(await response.json()).toEqual(expected);
    },
  );

  test("answers HEAD as GET, without a body", async () => {
    const response = await fetch(`${server().siteUrl}/echo`, { method: "HEAD" });
    expect([response.status, await response.text()]).toEqual([201, ""]);
  });

  test("is found by the prefix of its path", async () => {
    const response = await fetch(`${server().siteUrl}/echo/deeper/path`, { method: "POST" });
    expect(await response.json()).toMatchObject({ path: "/echo/deeper/path" });
  });

  test("gets a body of 20 MiB, and none that is larger", async () => {
    const post = (length: number) =>
      fetch(`${server().siteUrl}/echo`, { method: "POST", body: new Uint8Array(length) });
    expect(await (await post(20 * 1024 * 1024)).json()).toMatchObject({ length: 20 * 1024 * 1024 });
    expect((await post(20 * 1024 * 1024 + 1)).status).toBe(413);
  });

  test("that throws answers 500", async () => {
    const log = vi.spyOn(console, "error").mockReturnValue();
    const response = await fetch(`${server().siteUrl}/broken`);
    expect(response.status).toBe(500);
    expect(await response.json()).toEqual({ code: expect.stringContaining("broken on purpose") as string });
    expect(log).toHaveBeenCalledOnce();
    log.mockRestore();
  });
});

test.each([
  ["GET", "/"],
  ["GET", "/nowhere"],
  ["DELETE", "/notes"],
  ["GET", "/echo/deeper"],
  ["PROPFIND", "/echo"],
])("%s %s, which has no route, answers 404", async (method, path) => {
  const response = await fetch(server().siteUrl + path, { method });
  expect([response.status, await response.text()]).toEqual([404, "No matching routes found"]);
});

describe("a fault", () => {
  test("of a status answers with it for a number of requests, without running the action", async () => {
    server().faults.set({ status: 503, times: 2 });
    const post = async (body: string) => (await fetch(`${server().siteUrl}/notes`, { method: "POST", body })).status;
    expect([await post("1"), await post("2"), await post("3")]).toEqual([503, 503, 204]);
    expect(await texts()).toEqual(["3"]);
  });

  test("lasts until it is cleared, for the paths that match", async () => {
    server().faults.set({ status: 429, paths: /^\/notes/ });
    const status = async (path: string) => (await fetch(server().siteUrl + path, { method: "POST", body: "x" })).status;
    expect([await status("/notes"), await status("/notes"), await status("/echo")]).toEqual([429, 429, 201]);
    server().faults.clear();
    expect(await status("/notes")).toBe(204);
  });

  test("drops the answer after the action has run", async () => {
    server().faults.set({ dropAnswer: true, times: 1 });
    await expect(fetch(`${server().siteUrl}/notes`, { method: "POST", body: "dropped" })).rejects.toThrow();
    expect(await texts()).toContain("dropped");
    expect((await fetch(`${server().siteUrl}/echo`)).status).toBe(201);
  });

  test("delays the answer", async () => {
    server().faults.set({ delayMs: 150 });
    const start = performance.now();
    expect((await fetch(`${server().siteUrl}/echo`)).status).toBe(201);
    expect(performance.now() - start).toBeGreaterThanOrEqual(149);
  });
});

/** The bodies that POST /notes has stored. */
async function texts(): Promise<string[]> {
  const notes = await server().run(internal.notes.secrets, {});
  return notes.filter((note) => note.author === "http").map((note) => note.text);
}
