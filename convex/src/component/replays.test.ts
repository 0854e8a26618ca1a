import { convexTest } from "convex-test";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { api, internal } from "./_generated/api.js";
import schema from "./schema.js";

const modules = import.meta.glob("./**/*.ts");

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test("an id is remembered until its signature is too old, and then removed", async () => {
  const t = convexTest({ schema, modules });
  const remember = (webhookId: string) => t.mutation(api.replays.remember, { webhookId });
  const count = () => t.run(async (ctx) => (await ctx.db.query("seenCalls").collect()).length);
  expect(await remember("testcases-1")).toBe(true);
  vi.advanceTimersByTime(600_000);
  expect(await remember("testcases-2")).toBe(true);
  await t.mutation(internal.replays.removeExpired, {});
  expect(await remember("testcases-1")).toBe(false);
  vi.advanceTimersByTime(120_000);
  await t.mutation(internal.replays.removeExpired, {});
  expect(await count()).toBe(1);
  expect(await remember("testcases-2")).toBe(false);
});

test("many expired ids are removed in several transactions", async () => {
  const t = convexTest({ schema, modules });
  await t.run(async (ctx) => {
    for (let n = 0; n < 1_100; n += 1) {
      await ctx.db.insert("seenCalls", { webhookId: `testcases-${n}`, expiresAt: Date.now() - 1 });
    }
  });
  await t.mutation(internal.replays.removeExpired, {});
  await t.finishAllScheduledFunctions(() => vi.runAllTimers());
  expect(await t.run((ctx) => ctx.db.query("seenCalls").first())).toBeNull();
});
