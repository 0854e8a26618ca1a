import { v, type Infer } from "convex/values";
import type { TestCasesView } from "../client/types.js";
import type { Id } from "./_generated/dataModel.js";
import { mutation, query, type MutationCtx } from "./_generated/server.js";
import { MAX_TEST_CASES } from "./limits.js";
import { vKind, vOutputComparison, vQuestion, vTestCase } from "./validators.js";
import { vTestCasesView } from "./view.js";

type TestCase = Infer<typeof vTestCase>;

/** Adds a question with its test cases, which are judged in their order here. Returns its id. */
export const add = mutation({
  args: { question: vQuestion, testCases: v.array(vTestCase) },
  returns: v.string(),
  handler: async (ctx, { question, testCases }): Promise<string> => {
    checkLimits(question);
    const questionId = await ctx.db.insert("questions", { ...question, hiddenCount: 0 });
    await insertTestCases(ctx, questionId, testCases);
    return questionId;
  },
});

/** Changes the limits of a question. Submissions that a judge already has keep the old ones. */
export const update = mutation({
  args: { questionId: v.string(), change: vQuestion.partial() },
  returns: v.null(),
  handler: async (ctx, { questionId, change }): Promise<null> => {
    checkLimits(change);
    await ctx.db.patch("questions", existingId(ctx, questionId), change);
    return null;
  },
});

/** Replaces the test cases of a question. */
export const setTestCases = mutation({
  args: { questionId: v.string(), testCases: v.array(vTestCase) },
  returns: v.null(),
  handler: async (ctx, args): Promise<null> => {
    const questionId = existingId(ctx, args.questionId);
    const old = await ctx.db
      .query("testCases")
      .withIndex("by_question", (q) => q.eq("questionId", questionId))
      .collect();
    await Promise.all(old.map(({ _id }) => ctx.db.delete("testCases", _id)));
    await insertTestCases(ctx, questionId, args.testCases);
    return null;
  },
});

/** The public test cases of a question, and the number of hidden ones. Null if there is no such question. */
export const publicTestCases = query({
  args: { questionId: v.string() },
  returns: v.union(vTestCasesView, v.null()),
  handler: async (ctx, args): Promise<TestCasesView | null> => {
    const questionId = ctx.db.normalizeId("questions", args.questionId);
    const question = questionId && (await ctx.db.get("questions", questionId));
    if (!question) {
      return null;
    }
    const cases = await ctx.db
      .query("testCases")
      .withIndex("by_question_visibility", (q) => q.eq("questionId", questionId).eq("visibility", "public"))
      .collect();
    return {
      public: cases.map(({ name, order, stdin, expectedStdout }) => ({ name, order, stdin, expectedStdout })),
      hiddenCount: question.hiddenCount,
    };
  },
});

const vJudgeData = v.object({
  question: v.object({
    _id: v.string(),
    timeLimitSeconds: v.number(),
    memoryLimitMb: v.number(),
    outputComparison: vOutputComparison,
  }),
  testCases: v.array(v.object({ ...vTestCase.fields, _id: v.string(), order: v.number() })),
});

/**
 * A question with all its test cases, the hidden ones too. For the HTTP action that Gavel calls, never for a browser.
 * Null if there is no such question of this kind.
 */
export const judgeData = query({
  args: { questionId: v.string(), kind: vKind },
  returns: v.union(vJudgeData, v.null()),
  handler: async (ctx, args): Promise<Infer<typeof vJudgeData> | null> => {
    const questionId = ctx.db.normalizeId("questions", args.questionId);
    const question = questionId && (await ctx.db.get("questions", questionId));
    if (question?.kind !== args.kind) {
      return null;
    }
    const { _id, timeLimitSeconds, memoryLimitMb, outputComparison } = question;
    const testCases = await ctx.db
      .query("testCases")
      .withIndex("by_question", (q) => q.eq("questionId", _id))
      .collect();
    return {
      question: { _id, timeLimitSeconds, memoryLimitMb, outputComparison },
      testCases: testCases.map(({ _id, visibility, stdin, expectedStdout, name, order }) => ({
        _id,
        visibility,
        stdin,
        expectedStdout,
        name,
        order,
      })),
    };
  },
});

async function insertTestCases(ctx: MutationCtx, questionId: Id<"questions">, testCases: TestCase[]): Promise<void> {
  if (testCases.length > MAX_TEST_CASES) {
    throw new Error(`a question has at most ${MAX_TEST_CASES} test cases, not ${testCases.length}`);
  }
  await Promise.all(testCases.map((testCase, order) => ctx.db.insert("testCases", { ...testCase, questionId, order })));
  const hiddenCount = testCases.filter(({ visibility }) => visibility === "hidden").length;
  await ctx.db.patch("questions", questionId, { hiddenCount });
}

function existingId(ctx: MutationCtx, questionId: string): Id<"questions"> {
  const id = ctx.db.normalizeId("questions", questionId);
  if (!id) {
    throw new Error(`invalid question id: ${JSON.stringify(questionId)}`);
  }
  return id;
}

function checkLimits({ timeLimitSeconds, memoryLimitMb }: { timeLimitSeconds?: number; memoryLimitMb?: number }): void {
  for (const [name, limit] of Object.entries({ timeLimitSeconds, memoryLimitMb })) {
    if (limit !== undefined && !(limit > 0 && Number.isFinite(limit))) {
      throw new Error(`${name} must be greater than 0, not ${limit}`);
    }
  }
}
