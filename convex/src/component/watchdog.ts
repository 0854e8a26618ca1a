import { v } from "convex/values";
import { internal } from "./_generated/api.js";
import type { Id } from "./_generated/dataModel.js";
import { internalMutation, type MutationCtx } from "./_generated/server.js";
import { isFinalStatus } from "./rank.js";
import { reasons } from "./reasons.js";
import { enqueueSend, endInError } from "./send.js";

const MINUTE_MS = 60_000;
/** The pauses before each check. After the last one, about an hour has passed. */
const PAUSES_MS = [1, 2, 4, 8, 16, 30].map((minutes) => minutes * MINUTE_MS);

/** Begins a series of checks of a submission that is queued or running. Ends any earlier series. */
export async function watch(ctx: MutationCtx, submissionId: Id<"submissions">): Promise<void> {
  const watchedSince = Date.now();
  await ctx.db.patch("submissions", submissionId, { watchedSince });
  await scheduleCheck(ctx, { submissionId, watchedSince, checks: 0 });
}

type CheckArgs = { submissionId: Id<"submissions">; watchedSince: number; checks: number };

async function scheduleCheck(ctx: MutationCtx, args: CheckArgs): Promise<void> {
  await ctx.scheduler.runAfter(PAUSES_MS[args.checks]!, internal.watchdog.check, args);
}

/**
 * Sends a submission again that has no verdict yet: a lost call is repaired, and a repeated one changes nothing, since
 * the ingress drops it. Ends the submission in `error` after the last check.
 */
export const check = internalMutation({
  args: { submissionId: v.id("submissions"), watchedSince: v.number(), checks: v.number() },
  returns: v.null(),
  handler: async (ctx, args): Promise<null> => {
    const submission = await ctx.db.get("submissions", args.submissionId);
    if (!submission || submission.watchedSince !== args.watchedSince || isFinalStatus(submission.status)) {
      return null;
    }
    const checks = args.checks + 1;
    if (checks === PAUSES_MS.length) {
      await endInError(ctx, submission, reasons.silent(submission.status));
      return null;
    }
    await enqueueSend(ctx, args.submissionId);
    await scheduleCheck(ctx, { ...args, checks });
    return null;
  },
});
