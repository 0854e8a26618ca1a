import { register } from "@gavel/convex/test";
import { convexTest } from "convex-test";
import { beforeEach, describe, expect, test } from "vitest";
import samples from "../../../samples/questions.json" with { type: "json" };
import { api, internal } from "./_generated/api.js";
import { sampleQuestions } from "./sampleQuestions.js";
import schema from "./schema.js";

const modules = import.meta.glob("./**/*.*s");

function startExample() {
  const t = convexTest({ schema, modules });
  register(t);
  return t;
}

let t = startExample();
beforeEach(async () => {
  t = startExample();
  await t.mutation(internal.seed.run, {});
});

describe("the sample questions", () => {
  test("are those of the repository", () => {
    const expected = samples.map(({ kind, question, testCases }) => {
      const { _id: slug, title, statement, timeLimitSeconds, memoryLimitMb, outputComparison } = question;
      const text = { slug, kind, title, statement, timeLimitSeconds, memoryLimitMb, outputComparison };
      const inOrder = testCases.toSorted((a, b) => a.order - b.order);
      return { ...text, testCases: inOrder.map(({ _id, order: _order, ...testCase }) => testCase) };
    });
    expect(sampleQuestions).toEqual(expected);
  });

  test("are listed in their order, and shown without their test cases", async () => {
    const list = await t.query(api.questions.list, {});
    expect(list.map(({ slug }) => slug)).toEqual(sampleQuestions.map(({ slug }) => slug));
    const sum = await t.query(api.questions.get, { slug: "sum" });
    expect(sum).toMatchObject({ kind: "standard", title: "Sum", timeLimitSeconds: 2, memoryLimitMb: 256 });
    expect(JSON.stringify(sum)).not.toContain("stdin");
    expect(await t.query(api.questions.get, { slug: "unknown" })).toBeNull();
  });

  test("show their public test cases and the number of hidden ones", async () => {
    const { questionId } = (await t.query(api.questions.get, { slug: "sum" }))!;
    const cases = await t.withIdentity({ subject: "ada" }).query(api.judge.testCases, { questionId });
    expect(cases).toMatchObject({ hiddenCount: 3 });
    expect(cases!.public.map(({ stdin }) => stdin)).toEqual(["1 2\n", "-5 5\n"]);
  });

  test("keep their ids and get back their texts when they are seeded again", async () => {
    const before = await t.query(api.questions.list, {});
    await t.run(async (ctx) => {
      const question = await ctx.db.query("questions").first();
      await ctx.db.patch("questions", question!._id, { title: "Changed" });
    });
    await t.mutation(internal.seed.run, {});
    expect(await t.query(api.questions.list, {})).toEqual(before);
  });
});
