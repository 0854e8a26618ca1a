import type { TestConvex } from "convex-test";
import { components } from "../example/convex/_generated/api";
import type { SubmissionKind, TestCase } from "../src/client/types";
import type { DevServer } from "../dev-server";
import type schema from "../example/convex/schema";

/** Input, expected output and name that only the judge may see. */
export const HIDDEN: TestCase = {
  visibility: "hidden",
  name: "concealed",
  stdin: "271828 314159\n",
  expectedStdout: "585987\n",
};

/** Adding two numbers: two public tests, then a hidden one. */
export const ADDITION: TestCase[] = [
  { visibility: "public", name: "sample", stdin: "1 2\n", expectedStdout: "3\n" },
  { visibility: "public", stdin: "20 22\n", expectedStdout: "42\n" },
  HIDDEN,
];

/** Adds a question to the example. Returns its id. */
export async function addQuestion(
  app: DevServer,
  slug: string,
  testCases: TestCase[],
  { kind = "standard", timeLimitSeconds = 0.5 }: { kind?: SubmissionKind; timeLimitSeconds?: number } = {},
): Promise<string> {
  const functions: TestConvex<typeof schema> = app.t;
  return await functions.mutation(async (ctx) => {
    const limits = { timeLimitSeconds, memoryLimitMb: 64 };
    const outputComparison = { trimOutputs: true, normalizeWhitespace: false, caseSensitive: true };
    const question = { kind, ...limits, outputComparison };
    const questionId = await ctx.runMutation(components.gavel.questions.add, { question, testCases });
    const statement = "Print the sum of two integers.";
    await ctx.db.insert("questions", { slug, kind, questionId, order: 100, title: slug, statement, ...limits });
    return questionId;
  });
}

/** Replaces the test cases of a question. */
export async function setTestCases(app: DevServer, questionId: string, testCases: TestCase[]): Promise<void> {
  const functions: TestConvex<typeof schema> = app.t;
  await functions.mutation((ctx) =>
    ctx.runMutation(components.gavel.questions.setTestCases, { questionId, testCases }),
  );
}
