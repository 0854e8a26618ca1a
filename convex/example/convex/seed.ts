import { v } from "convex/values";
import { internalMutation, type MutationCtx } from "./_generated/server.js";
import { gavel } from "./judge.js";
import { sampleQuestions, type SampleQuestion } from "./sampleQuestions.js";

/** Stores the sample questions. Run again, it brings them up to date: `npx convex run seed:run`. */
export const run = internalMutation({
  args: {},
  returns: v.null(),
  handler: async (ctx): Promise<null> => {
    for (const [order, question] of sampleQuestions.entries()) {
      await store(ctx, question, order);
    }
    return null;
  },
});

async function store(ctx: MutationCtx, question: SampleQuestion, order: number): Promise<void> {
  const { testCases, outputComparison, ...text } = question;
  const { slug, kind, timeLimitSeconds, memoryLimitMb } = text;
  const limits = { kind, timeLimitSeconds, memoryLimitMb, outputComparison };
  const stored = await ctx.db
    .query("questions")
    .withIndex("by_slug", (q) => q.eq("slug", slug))
    .unique();
  if (!stored) {
    const questionId = await gavel.addQuestion(ctx, { ...limits, testCases });
    await ctx.db.insert("questions", { ...text, order, questionId });
    return;
  }
  const { questionId } = stored;
  await gavel.updateQuestion(ctx, { questionId, change: limits });
  await gavel.setTestCases(ctx, { questionId, testCases });
  await ctx.db.patch("questions", stored._id, { ...text, order });
}
