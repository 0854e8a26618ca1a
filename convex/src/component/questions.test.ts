import { beforeEach, describe, expect, test } from "vitest";
import { component, gavel, judgeApi, limits, startApp, testCases, type App } from "../testing/app.js";
import { MAX_TEST_CASES } from "./limits.js";

let t: App;
let questionId: string;
beforeEach(async () => {
  t = startApp();
  questionId = await t.run((ctx) => gavel.addQuestion(ctx, { ...limits, testCases }));
});

const judgeData = (kind: "standard" | "personalized" = "standard") =>
  t.run((ctx) => ctx.runQuery(component.questions.judgeData, { questionId, kind }));

describe("public test cases", () => {
  test("leave out everything about the hidden ones but their number", async () => {
    const shown = await t.withIdentity({ subject: "ada" }).query(judgeApi.testCases, { questionId });
    expect(shown).toEqual({
      public: [
        { name: "sample", order: 0, stdin: "1 2\n", expectedStdout: "3\n" },
        { order: 2, stdin: "5 5\n", expectedStdout: "10\n" },
      ],
      hiddenCount: 1,
    });
    expect(JSON.stringify(shown)).not.toContain("secret");
  });

  test("are null without a user and for an unknown question", async () => {
    expect(await t.query(judgeApi.testCases, { questionId })).toBeNull();
    const ada = t.withIdentity({ subject: "ada" });
    expect(await ada.query(judgeApi.testCases, { questionId: "k57" })).toBeNull();
  });
});

describe("questions", () => {
  test("are changed field by field", async () => {
    await t.run((ctx) => gavel.updateQuestion(ctx, { questionId, change: { timeLimitSeconds: 0.5 } }));
    expect((await judgeData())!.question).toEqual({ _id: questionId, ...limits, timeLimitSeconds: 0.5 });
    await t.run((ctx) => gavel.updateQuestion(ctx, { questionId, change: { kind: "personalized" } }));
    expect(await judgeData()).toBeNull();
    expect((await judgeData("personalized"))!.testCases).toHaveLength(3);
  });

  test("get new test cases instead of the old ones", async () => {
    const hidden = { visibility: "hidden" as const, stdin: "7", expectedStdout: "8" };
    await t.run((ctx) => gavel.setTestCases(ctx, { questionId, testCases: [hidden, hidden] }));
    expect((await judgeData())!.testCases.map(({ order, stdin }) => [order, stdin])).toEqual([
      [0, "7"],
      [1, "7"],
    ]);
    expect(await t.run((ctx) => gavel.testCases(ctx, { questionId }))).toEqual({ public: [], hiddenCount: 2 });
  });

  test.each([0, -1, NaN, Infinity])("refuse a limit of %d", async (limit) => {
    for (const name of ["timeLimitSeconds", "memoryLimitMb"]) {
      const change = { [name]: limit };
      await expect(t.run((ctx) => gavel.updateQuestion(ctx, { questionId, change }))).rejects.toThrow(name);
      const question = { ...limits, ...change, testCases };
      await expect(t.run((ctx) => gavel.addQuestion(ctx, question))).rejects.toThrow(name);
    }
  });

  test("refuse too many test cases, and keep the old ones", async () => {
    const tooMany = Array.from({ length: MAX_TEST_CASES + 1 }, () => testCases[0]!);
    const change = t.run((ctx) => gavel.setTestCases(ctx, { questionId, testCases: tooMany }));
    await expect(change).rejects.toThrow("at most 500 test cases, not 501");
    expect((await judgeData())!.testCases).toHaveLength(3);
  });

  test("refuse to change a question that does not exist", async () => {
    const unknown = { questionId: "k57", testCases };
    await expect(t.run((ctx) => gavel.setTestCases(ctx, unknown))).rejects.toThrow('invalid question id: "k57"');
  });
});
