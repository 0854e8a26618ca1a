/** The text for apps that keep their own functions, and the files that it must show. */
export const OWN_FUNCTIONS = {
  path: "../docs/convex-own-functions.md",
  files: [
    "convex/convex.config.ts",
    "convex/http.ts",
    "convex/judge.ts",
    "convex/replays.ts",
    "convex/schema.ts",
    "convex/submissions.ts",
  ],
};

/** What the text expects of the app: its questions. This app has one, `k57`. */
export const OWN_QUESTIONS = {
  "convex/questions.ts": `import { v } from "convex/values";
import { internalQuery } from "./_generated/server";

export const forJudge = internalQuery({
  args: { questionId: v.string(), kind: v.union(v.literal("standard"), v.literal("personalized")) },
  handler: async (_ctx, { questionId, kind }) =>
    questionId === "k57" ? { question: { _id: questionId, kind }, testCases: [] } : null,
});
`,
};
