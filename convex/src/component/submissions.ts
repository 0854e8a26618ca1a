import { paginationOptsValidator, paginationResultValidator, type PaginationResult } from "convex/server";
import { v } from "convex/values";
import { paginator } from "convex-helpers/server/pagination";
import type { SubmissionView } from "../client/types.js";
import type { Doc } from "./_generated/dataModel.js";
import { mutation, query, type QueryCtx } from "./_generated/server.js";
import { END, withoutPrefix, withPrefix } from "./cursor.js";
import { byteLength, isUsableId, isWellFormed, MAX_PAGE_ITEMS, MAX_SOURCE_BYTES } from "./limits.js";
import schema from "./schema.js";
import { enqueueSend } from "./send.js";
import { newTraceId } from "./trace.js";
import { vKind } from "./validators.js";
import { toView, vSubmissionView } from "./view.js";
import { watch } from "./watchdog.js";

const vRefusal = v.object({ code: v.string(), message: v.string() });
type Refusal = { code: string; message: string };

/** Stores a submission as `queued` and enqueues the call of the judge in the same transaction. */
export const submit = mutation({
  args: {
    userId: v.string(),
    questionId: v.string(),
    kind: vKind,
    languageId: v.number(),
    sourceCode: v.string(),
  },
  returns: v.union(v.object({ submissionId: v.string() }), vRefusal),
  handler: async (ctx, { sourceCode, ...submission }): Promise<{ submissionId: string } | Refusal> => {
    const refusal = refusalOf({ ...submission, sourceCode });
    if (refusal) {
      return refusal;
    }
    const sourceId = await ctx.db.insert("sources", { text: sourceCode });
    const submissionId = await ctx.db.insert("submissions", {
      ...submission,
      status: "queued",
      rank: 0,
      sourceId,
      traceId: newTraceId(),
    });
    await enqueueSend(ctx, submissionId);
    await watch(ctx, submissionId);
    return { submissionId };
  },
});

/** Returns a submission, or null if it is unknown or another user's. */
export const get = query({
  args: { userId: v.string(), submissionId: v.string() },
  returns: v.union(vSubmissionView, v.null()),
  handler: async (ctx, args): Promise<SubmissionView | null> => {
    const submission = await ownSubmission(ctx, args);
    return submission && toView(submission);
  },
});

/** Returns a page of a user's submissions, newest first, of one question or of all. */
export const list = query({
  args: { userId: v.string(), questionId: v.optional(v.string()), paginationOpts: paginationOptsValidator },
  returns: paginationResultValidator(vSubmissionView),
  handler: async (ctx, { userId, questionId, paginationOpts }): Promise<PaginationResult<SubmissionView>> => {
    if (paginationOpts.cursor === END) {
      return { page: [], isDone: true, continueCursor: END };
    }
    const submissions = paginator(ctx.db, schema).query("submissions");
    const own =
      questionId === undefined
        ? submissions.withIndex("by_user", (q) => q.eq("userId", userId))
        : submissions.withIndex("by_user_question", (q) => q.eq("userId", userId).eq("questionId", questionId));
    const numItems = Math.min(paginationOpts.numItems, MAX_PAGE_ITEMS);
    const prefix = questionId === undefined ? [userId] : [userId, questionId];
    const { page, ...position } = withoutPrefix(
      await own.order("desc").paginate(withPrefix({ ...paginationOpts, numItems }, prefix)),
    );
    return { ...position, page: page.map(toView) };
  },
});

/** Returns the source of a submission, or null if it is unknown or another user's. */
export const source = query({
  args: { userId: v.string(), submissionId: v.string() },
  returns: v.union(v.string(), v.null()),
  handler: async (ctx, args): Promise<string | null> => {
    const submission = await ownSubmission(ctx, args);
    const stored = submission && (await ctx.db.get("sources", submission.sourceId));
    return stored?.text ?? null;
  },
});

async function ownSubmission(
  ctx: QueryCtx,
  { userId, submissionId }: { userId: string; submissionId: string },
): Promise<Doc<"submissions"> | null> {
  const id = ctx.db.normalizeId("submissions", submissionId);
  const submission = id && (await ctx.db.get("submissions", id));
  return submission?.userId === userId ? submission : null;
}

function refusalOf(submission: { questionId: string; languageId: number; sourceCode: string }): Refusal | undefined {
  const { questionId, languageId, sourceCode } = submission;
  if (!isUsableId(questionId)) {
    return { code: "invalid_question", message: "This question does not exist." };
  }
  if (!Number.isSafeInteger(languageId) || languageId <= 0) {
    return { code: "invalid_language", message: "This language does not exist." };
  }
  if (!isWellFormed(sourceCode)) {
    return { code: "invalid_source", message: "The source contains a character that is not valid Unicode." };
  }
  const bytes = byteLength(sourceCode);
  if (bytes > MAX_SOURCE_BYTES) {
    const message = `The source has ${bytes} bytes, but at most ${MAX_SOURCE_BYTES} are allowed.`;
    return { code: "source_too_large", message };
  }
  return undefined;
}
