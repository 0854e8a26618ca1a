import { v } from "convex/values";
import { internal } from "./_generated/api.js";
import { internalMutation, mutation } from "./_generated/server.js";

/**
 * How long an id is remembered. A signature is accepted until 300 s after its timestamp, which may lie 300 s ahead of
 * our clock.
 */
const REMEMBERED_MS = 2 * 300_000 + 60_000;
const REMOVED_AT_ONCE = 500;

/**
 * Remembers the `webhook-id` of a test-case call. Returns false if it was used before: Gavel makes a new id for each of
 * these calls, so the second one is a replay.
 */
export const remember = mutation({
  args: { webhookId: v.string() },
  returns: v.boolean(),
  handler: async (ctx, { webhookId }): Promise<boolean> => {
    const seen = await ctx.db
      .query("seenCalls")
      .withIndex("by_webhook_id", (q) => q.eq("webhookId", webhookId))
      .first();
    if (seen) {
      return false;
    }
    await ctx.db.insert("seenCalls", { webhookId, expiresAt: Date.now() + REMEMBERED_MS });
    return true;
  },
});

/** Removes expired ids. Runs from `crons.ts`, and again at once while more are left. */
export const removeExpired = internalMutation({
  args: {},
  returns: v.null(),
  handler: async (ctx): Promise<null> => {
    const expired = await ctx.db
      .query("seenCalls")
      .withIndex("by_expiry", (q) => q.lt("expiresAt", Date.now()))
      .take(REMOVED_AT_ONCE);
    await Promise.all(expired.map(({ _id }) => ctx.db.delete("seenCalls", _id)));
    if (expired.length === REMOVED_AT_ONCE) {
      await ctx.scheduler.runAfter(0, internal.replays.removeExpired, {});
    }
    return null;
  },
});
