import path from "node:path";
import { describe, expect, test, vi } from "vitest";
import { Faults } from "./faults";
import { delayUntilNext } from "./crons";
import { api, internal } from "./fixture/convex/_generated/api";
import { startDevServer } from "./index";
import { connect, startFixture } from "./testing";

const timers = () => process.getActiveResourcesInfo().filter((name) => name === "Timeout").length;

describe("startDevServer", () => {
  test("runs the seed, and cron jobs once at start", async () => {
    const server = await startFixture({ seed: "seed:run" });
    await vi.waitFor(async () => {
      const notes = await server.run(internal.notes.secrets, {});
      expect(notes.map(({ author, text }) => `${author}: ${text}`).sort()).toEqual(["cron: at start", "seed: seeded"]);
    });
  });

  test("gives the functions their environment, and restores it", async () => {
    const server = await startFixture({ env: { FIXTURE_GREETING: "hello" } });
    expect(await server.run(internal.users.environment, {})).toBe("hello");
    expect(process.env.CONVEX_SITE_URL).toBe(server.siteUrl);
    await server.close();
    expect(process.env.FIXTURE_GREETING).toBeUndefined();
    expect(process.env.CONVEX_SITE_URL).toBeUndefined();
  });

  test("starts again after a close, without the earlier data", async () => {
    const first = await startFixture();
    await first.run(internal.notes.addInternally, { author: "ada", text: "gone" });
    await first.close();
    const second = await startFixture();
    expect(await second.t.query(api.notes.texts, { author: "ada" })).toEqual([]);
  });

  test("refuses a second server in the process", async () => {
    await startFixture();
    await expect(startDevServer()).rejects.toThrow(/already running/);
  });

  test("fails if the app cannot be loaded, and leaves nothing behind", async () => {
    const app = { functions: path.join(import.meta.dirname, "nowhere"), components: {} };
    await expect(startDevServer({ app })).rejects.toThrow(/ENOENT/);
    await startFixture();
  });

  test("fails if a port is in use", async () => {
    const server = await startFixture();
    const port = Number(new URL(server.url).port);
    await server.close();
    const other = await startFixture({ port });
    expect(other.url).toBe(server.url);
    await other.close();
    const taken = (await import("node:net")).createServer().listen(port, "127.0.0.1");
    await expect(startFixture({ port })).rejects.toThrow(/EADDRINUSE/);
    taken.close();
  });
});

describe("close", () => {
  test("cancels scheduled functions and leaves no timer", async () => {
    const before = timers();
    const server = await startFixture();
    const client = connect(server);
    await client.mutation(api.notes.addLater, { author: "later", text: "soon", delayMs: 300 });
    await client.mutation(api.notes.addLater, { author: "later", text: "much later", delayMs: 3_600_000 });
    await client.close();
    await server.close();
    await new Promise((resolve) => setTimeout(resolve, 400));
    expect(await server.t.run(async (ctx) => (await ctx.db.query("notes").collect()).length)).toBe(1);
    expect(timers()).toBeLessThanOrEqual(before);
  });

  test("disconnects clients and frees the ports", async () => {
    const server = await startFixture();
    const client = connect(server);
    await client.query(api.notes.texts, { author: "ada" });
    await server.close();
    await vi.waitFor(() => expect(client.connectionState().isWebSocketConnected).toBe(false));
    await expect(fetch(server.siteUrl)).rejects.toThrow();
    await server.close();
  });
});

describe("delayUntilNext", () => {
  // A Thursday.
  const now = Date.UTC(2026, 10, 26, 1, 30);
  const at = (schedule: Parameters<typeof delayUntilNext>[0]) =>
    new Date(now + (delayUntilNext(schedule, now) ?? NaN)).toISOString();

  test("computes the next run", () => {
    expect(at({ type: "interval", seconds: 90 })).toBe("2026-11-26T01:31:30.000Z");
    expect(at({ type: "interval", minutes: 2 })).toBe("2026-11-26T01:32:00.000Z");
    expect(at({ type: "interval", hours: 3 })).toBe("2026-11-26T04:30:00.000Z");
    expect(at({ type: "hourly", minuteUTC: 15 })).toBe("2026-11-26T02:15:00.000Z");
    expect(at({ type: "hourly", minuteUTC: 30 })).toBe("2026-11-26T02:30:00.000Z");
    expect(at({ type: "daily", hourUTC: 1, minuteUTC: 45 })).toBe("2026-11-26T01:45:00.000Z");
    expect(at({ type: "daily", hourUTC: 1 })).toBe("2026-11-27T01:00:00.000Z");
    expect(at({ type: "weekly", dayOfWeek: "thursday", hourUTC: 2 })).toBe("2026-11-26T02:00:00.000Z");
    expect(at({ type: "weekly", dayOfWeek: "monday", hourUTC: 9, minuteUTC: 5 })).toBe("2026-11-30T09:05:00.000Z");
  });

  test("returns null for schedules that it does not support", () => {
    expect(delayUntilNext({ type: "cron", cron: "* * * * *" }, now)).toBeNull();
    expect(delayUntilNext({ type: "monthly", day: 1, hourUTC: 0 }, now)).toBeNull();
  });
});

test("a fault for other paths is not counted", () => {
  const faults = new Faults();
  faults.set({ status: 503, times: 1, paths: /^\/a/ });
  expect(faults.take("/b")).toBeNull();
  expect(faults.take("/a")?.status).toBe(503);
  expect(faults.take("/a")).toBeNull();
});
