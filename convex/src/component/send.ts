import { Workpool, vOnCompleteArgs } from "@convex-dev/workpool";
import { v, type Infer } from "convex/values";
import type { Wire } from "../client/types.js";
import { components, internal } from "./_generated/api.js";
import type { Doc, Id } from "./_generated/dataModel.js";
import { internalAction, internalMutation, internalQuery, type MutationCtx } from "./_generated/server.js";
import { callGavel } from "./ingress.js";
import { reasons, type Reason } from "./reasons.js";
import { traceparent } from "./trace.js";
import { vKind } from "./validators.js";

/** Attempts 0.5, 1, 2, … 32 s apart: about a minute in all, which outlasts a restart of the ingress. */
const RETRY = { maxAttempts: 8, initialBackoffMs: 500, base: 2 };

const pool = new Workpool(components.pool, { maxParallelism: 20, logLevel: "ERROR" });

/**
 * Enqueues the call of the judge. The scheduler runs an action at most once, so the call goes through the workpool,
 * which runs it again after a failure.
 */
export async function enqueueSend(ctx: MutationCtx, submissionId: Id<"submissions">): Promise<void> {
  await pool.enqueueAction(
    ctx,
    internal.send.send,
    { submissionId },
    { retry: RETRY, onComplete: internal.send.finish, context: { submissionId } },
  );
}

const vRequest = v.object({
  questionId: v.string(),
  submissionId: v.string(),
  languageId: v.number(),
  sourceCode: v.string(),
  submissionKind: vKind,
});

/** The body of the call and its trace id, or null if the submission is gone. */
export const request = internalQuery({
  args: { submissionId: v.id("submissions") },
  returns: v.union(v.object({ body: vRequest, traceId: v.string() }), v.null()),
  handler: async (ctx, { submissionId }): Promise<{ body: Infer<typeof vRequest>; traceId: string } | null> => {
    const submission = await ctx.db.get("submissions", submissionId);
    const source = submission && (await ctx.db.get("sources", submission.sourceId));
    if (!submission || !source) {
      return null;
    }
    const { questionId, languageId, kind, traceId } = submission;
    return { body: { questionId, submissionId, languageId, sourceCode: source.text, submissionKind: kind }, traceId };
  },
});

const vReason = v.object({ learner: v.string(), developer: v.string() });

/**
 * Calls the judge once. Returns null if it accepted the submission, or the reason of a final refusal. Throws if another
 * attempt may succeed.
 */
export const send = internalAction({
  args: { submissionId: v.id("submissions") },
  returns: v.union(vReason, v.null()),
  handler: async (ctx, args): Promise<Reason | null> => {
    const found: { body: Infer<typeof vRequest>; traceId: string } | null = await ctx.runQuery(
      internal.send.request,
      args,
    );
    if (!found) {
      return null;
    }
    const headers = {
      "content-type": "application/json",
      traceparent: traceparent(found.traceId),
      "x-request-id": found.traceId,
    };
    const init = { method: "POST", headers, body: JSON.stringify(found.body satisfies Wire["JudgeQuestionRequest"]) };
    const answer = await callGavel("v1/judge-question", init);
    if ("reason" in answer) {
      return answer.reason;
    }
    return answer.status === 202 ? null : reasons.refused(answer.status, answer.text);
  },
});

/** Records the outcome of the last attempt. A refusal counts only while nothing else is known of the submission. */
export const finish = internalMutation({
  args: vOnCompleteArgs(v.object({ submissionId: v.id("submissions") }), v.union(vReason, v.null())),
  returns: v.null(),
  handler: async (ctx, { context: { submissionId }, result }): Promise<null> => {
    const submission = await ctx.db.get("submissions", submissionId);
    if (submission?.status !== "queued" || submission.rank !== 0 || submission.acceptedAt !== undefined) {
      return null;
    }
    const reason = result.kind === "success" ? result.returnValue : reasons.unreachable(failureOf(result));
    if (reason) {
      await endInError(ctx, submission, reason);
    } else {
      await ctx.db.patch("submissions", submissionId, { acceptedAt: Date.now() });
    }
    return null;
  },
});

function failureOf(result: { kind: "failed"; error: string } | { kind: "canceled" }): string {
  return result.kind === "failed" ? result.error : "the call was canceled.";
}

/** Ends a submission in `error`. Its rank stays, so that a result which comes later still wins. */
export async function endInError(ctx: MutationCtx, submission: Doc<"submissions">, reason: Reason): Promise<void> {
  console.error(`Submission ${submission._id} ends in error. ${reason.developer}`);
  await ctx.db.patch("submissions", submission._id, {
    status: "error",
    finishedAt: Date.now(),
    details: { firstFailure: { errorMessage: reason.learner } },
  });
}
