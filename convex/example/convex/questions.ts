import { v, type Infer } from "convex/values";
import { query } from "./_generated/server.js";

const vQuestion = v.object({
  /** The id and kind for `judge.submit` and `judge.testCases`. */
  questionId: v.string(),
  kind: v.union(v.literal("standard"), v.literal("personalized")),
  slug: v.string(),
  title: v.string(),
  statement: v.string(),
  timeLimitSeconds: v.number(),
  memoryLimitMb: v.number(),
});

/** All questions in their order. */
export const list = query({
  args: {},
  returns: v.array(vQuestion.pick("questionId", "kind", "slug", "title")),
  handler: async (ctx) => {
    const questions = await ctx.db.query("questions").withIndex("by_order").take(100);
    return questions.map(({ questionId, kind, slug, title }) => ({ questionId, kind, slug, title }));
  },
});

/** A question by the last part of its address, or null if there is none. */
export const get = query({
  args: { slug: v.string() },
  returns: v.union(vQuestion, v.null()),
  handler: async (ctx, args): Promise<Infer<typeof vQuestion> | null> => {
    const question = await ctx.db
      .query("questions")
      .withIndex("by_slug", (q) => q.eq("slug", args.slug))
      .unique();
    if (!question) {
      return null;
    }
    const { questionId, kind, slug, title, statement, timeLimitSeconds, memoryLimitMb } = question;
    return { questionId, kind, slug, title, statement, timeLimitSeconds, memoryLimitMb };
  },
});
