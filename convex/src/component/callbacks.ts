import type { FunctionHandle } from "convex/server";
import { v, type Infer } from "convex/values";
import type { ResultEvent } from "../client/types.js";
import type { Doc } from "./_generated/dataModel.js";
import { mutation, type MutationCtx } from "./_generated/server.js";
import { boundedText } from "./limits.js";
import { generationOf, isFinalStatus, rankOf } from "./rank.js";
import { vDetails, vKind, vVerdict } from "./validators.js";
import { watch } from "./watchdog.js";

type Details = Infer<typeof vDetails>;

/**
 * What became of a callback: stored, not stored because its rank is not higher, refused because another result of the
 * same generation is stored, or of a submission that does not exist.
 */
export const vOutcome = v.union(
  v.literal("applied"),
  v.literal("unchanged"),
  v.literal("conflict"),
  v.literal("unknown"),
);
export type Outcome = Infer<typeof vOutcome>;

const callbackArgs = { submissionId: v.string(), kind: vKind, generation: v.number() };

/** Applies a *running* callback. */
export const running = mutation({
  args: callbackArgs,
  returns: vOutcome,
  handler: async (ctx, args): Promise<Outcome> => {
    const submission = await submissionOf(ctx, args);
    if (!submission) {
      return "unknown";
    }
    const rank = rankOf(args.generation, false);
    if (rank <= submission.rank) {
      return "unchanged";
    }
    await ctx.db.patch("submissions", submission._id, {
      status: "running",
      rank,
      runningAt: Date.now(),
      finishedAt: undefined,
      details: undefined,
    });
    if (isFinalStatus(submission.status) || args.generation > Math.max(1, generationOf(submission.rank))) {
      await watch(ctx, submission._id);
    }
    return "applied";
  },
});

/** Applies a result, and runs the app's `onResult` in the same transaction. */
export const result = mutation({
  args: { ...callbackArgs, status: vVerdict, details: vDetails, onResult: v.optional(v.string()) },
  returns: vOutcome,
  handler: async (ctx, args): Promise<Outcome> => {
    const submission = await submissionOf(ctx, args);
    if (!submission) {
      return "unknown";
    }
    const rank = rankOf(args.generation, true);
    const details = bounded(args.details);
    if (rank < submission.rank) {
      return "unchanged";
    }
    if (rank === submission.rank) {
      return repeated(submission, args.status, details);
    }
    // A patch replaces `details` as a whole: a field that this result does not have is cleared.
    await ctx.db.patch("submissions", submission._id, { status: args.status, rank, finishedAt: Date.now(), details });
    if (args.onResult) {
      const { userId, questionId } = submission;
      await ctx.runMutation(args.onResult as FunctionHandle<"mutation", ResultEvent>, {
        submissionId: submission._id,
        userId,
        questionId,
        status: args.status,
        generation: args.generation,
      });
    }
    return "applied";
  },
});

async function submissionOf(
  ctx: MutationCtx,
  args: { submissionId: string; kind: Infer<typeof vKind> },
): Promise<Doc<"submissions"> | undefined> {
  const id = ctx.db.normalizeId("submissions", args.submissionId);
  const submission = id && (await ctx.db.get("submissions", id));
  return submission?.kind === args.kind ? submission : undefined;
}

function repeated(submission: Doc<"submissions">, status: string, details: Details): Outcome {
  const stored = JSON.stringify([submission.status, bounded(submission.details ?? {})]);
  if (stored === JSON.stringify([status, details])) {
    return "unchanged";
  }
  console.error(
    `Submission ${submission._id}: a different result of the same generation is refused. Stored: ` +
      `${submission.status}, received: ${status}. Judge the submission again with "gavel rejudge".`,
  );
  return "conflict";
}

/**
 * The details with bounded texts, without fields that are empty, and with the fields in one order, so that equal
 * details have equal JSON. Gavel sends an empty text or object for "none" after a rejudge.
 */
function bounded(details: Details): Details {
  const { stdin, actualOutput, expectedOutput, errorMessage } = details.firstFailure ?? {};
  const failure = defined({
    stdin: stdin === undefined ? undefined : boundedText(stdin),
    actualOutput: actualOutput === undefined ? undefined : boundedText(actualOutput),
    expectedOutput: expectedOutput === undefined ? undefined : boundedText(expectedOutput),
    errorMessage: errorMessage === undefined ? undefined : boundedText(errorMessage),
  });
  return defined({
    passedCount: details.passedCount,
    totalCount: details.totalCount,
    firstFailureIndex: details.firstFailureIndex,
    firstFailure: Object.keys(failure).length > 0 ? failure : undefined,
    stderr: details.stderr ? boundedText(details.stderr) : undefined,
    compileOutput: details.compileOutput ? boundedText(details.compileOutput) : undefined,
    durationMs: details.durationMs,
  });
}

function defined<Fields extends object>(fields: Fields): Fields {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Fields;
}
