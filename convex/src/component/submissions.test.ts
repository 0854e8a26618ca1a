import { ConvexError } from "convex/values";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { SubmitError } from "../client/index.js";
import { gavel, judgeApi, startApp, submission, submit, view, type App } from "../testing/app.js";
import { mockIngress, silence } from "../testing/ingress.js";
import { MAX_SOURCE_BYTES } from "./limits.js";

let t: App;
beforeEach(() => {
  vi.useFakeTimers();
  mockIngress(silence);
  t = startApp();
});
afterEach(() => {
  vi.unstubAllGlobals();
  vi.unstubAllEnvs();
  vi.useRealTimers();
});

const firstPage = (numItems: number) => ({ numItems, cursor: null });
const as = (userId: string) => t.withIdentity({ subject: userId });

async function refusal(args: Partial<typeof submission>): Promise<SubmitError> {
  const error: unknown = await as("ada")
    .mutation(judgeApi.submit, { ...submission, ...args })
    .catch((error: unknown) => error);
  expect(error).toBeInstanceOf(ConvexError);
  return (error as ConvexError<SubmitError>).data;
}

describe("submit", () => {
  test("stores a queued submission of the user", async () => {
    const submissionId = await as("ada").mutation(judgeApi.submit, submission);
    expect(await as("ada").query(judgeApi.submission, { submissionId })).toEqual({
      submissionId,
      questionId: "k57",
      kind: "standard",
      languageId: 71,
      status: "queued",
      submittedAt: expect.closeTo(Date.now(), -3) as number,
      generation: 0,
    });
    expect(await as("ada").query(judgeApi.source, { submissionId })).toBe("print(1)");
  });

  test("counts the bytes of the source in UTF-8", async () => {
    const largest = "€".repeat(Math.floor(MAX_SOURCE_BYTES / 3)) + "xx";
    await as("ada").mutation(judgeApi.submit, { ...submission, sourceCode: largest });
    expect(await refusal({ sourceCode: `${largest}x` })).toEqual({
      code: "source_too_large",
      message: "The source has 200001 bytes, but at most 200000 are allowed.",
    });
  });

  test.each(["\ud800", "x\udc00", "\udc00\ud800"])("refuses a source with lone surrogates", async (sourceCode) => {
    expect((await refusal({ sourceCode })).code).toBe("invalid_source");
    await as("ada").mutation(judgeApi.submit, { ...submission, sourceCode: "print('😀')" });
  });

  test.each([0, -1, 0.5, NaN, Infinity])("refuses the language %d", async (languageId) => {
    expect((await refusal({ languageId })).code).toBe("invalid_language");
  });

  test.each(["", "a b", "a.b", "a*", "a>", "a\n", "a\u0000", "x".repeat(129), "é".repeat(65), "\ud800"])(
    "refuses the question %j",
    async (questionId) => {
      expect((await refusal({ questionId })).code).toBe("invalid_question");
    },
  );

  test("refuses a caller without a user", async () => {
    const error: unknown = await t.mutation(judgeApi.submit, submission).catch((error: unknown) => error);
    expect((error as ConvexError<SubmitError>).data).toEqual({ code: "unauthenticated", message: "Sign in first." });
  });
});

describe("queries", () => {
  test("show nothing of another user's submission", async () => {
    const submissionId = await submit(t, "ada");
    for (const caller of [as("eve"), t]) {
      expect(await caller.query(judgeApi.submission, { submissionId })).toBeNull();
      expect(await caller.query(judgeApi.source, { submissionId })).toBeNull();
      expect(await caller.query(judgeApi.submissions, { paginationOpts: firstPage(10) })).toMatchObject({
        page: [],
        isDone: true,
      });
    }
  });

  test.each(["", "k97", "10000;questions", "10000;submissions", "\u0000"])("find nothing for the id %j", async (id) => {
    expect(await as("ada").query(judgeApi.submission, { submissionId: id })).toBeNull();
    expect(await as("ada").query(judgeApi.source, { submissionId: id })).toBeNull();
  });

  test("never contain the source", async () => {
    await submit(t, "ada", { sourceCode: "print('my secret source')" });
    const list = await as("ada").query(judgeApi.submissions, { paginationOpts: firstPage(10) });
    expect(list.page).toHaveLength(1);
    expect(JSON.stringify(list)).not.toContain("secret source");
  });
});

describe("list", () => {
  async function submitMany(): Promise<string[]> {
    const ids: string[] = [];
    for (let n = 0; n < 5; n += 1) {
      vi.advanceTimersByTime(1);
      ids.unshift(await submit(t, "ada", { questionId: n % 2 ? "odd" : "even" }));
      // Their index keys are before and after those of ada.
      await submit(t, "aaa", { questionId: "odd" });
      await submit(t, "eve", { questionId: "odd" });
    }
    return ids;
  }

  async function listAll(args: { questionId?: string; numItems: number }): Promise<string[]> {
    const { numItems, ...rest } = args;
    const ids: string[] = [];
    for (let cursor: string | null = null, isDone = false; !isDone;) {
      const result: { page: { submissionId: string }[]; isDone: boolean; continueCursor: string } = await as(
        "ada",
      ).query(judgeApi.submissions, { ...rest, paginationOpts: { numItems, cursor } });
      expect(result.page.length).toBeLessThanOrEqual(numItems);
      ids.push(...result.page.map(({ submissionId }) => submissionId));
      ({ isDone, continueCursor: cursor } = result);
    }
    return ids;
  }

  test("pages through the user's own submissions, newest first", async () => {
    const ids = await submitMany();
    expect(await listAll({ numItems: 2 })).toEqual(ids);
    expect(await listAll({ numItems: 10 })).toEqual(ids);
  });

  test("selects a question", async () => {
    const ids = await submitMany();
    expect(await listAll({ questionId: "even", numItems: 1 })).toEqual([ids[0], ids[2], ids[4]]);
    expect(await listAll({ questionId: "other", numItems: 1 })).toEqual([]);
  });

  test("returns at most 100 at a time", async () => {
    await t.run(async (ctx) => {
      for (let n = 0; n < 101; n += 1) {
        await gavel.submit(ctx, { ...submission, userId: "ada", kind: undefined });
      }
    });
    const { page, isDone } = await as("ada").query(judgeApi.submissions, { paginationOpts: firstPage(1_000) });
    expect([page.length, isDone]).toEqual([100, false]);
  });

  test("pages for every user and question id", async () => {
    for (const text of ["undefined", "_undefined", "[]", '"', "grüß", "a,b"]) {
      const ids = [await submit(t, text, { questionId: text }), await submit(t, text, { questionId: text })];
      for (const args of [{}, { questionId: text }]) {
        const first = await as(text).query(judgeApi.submissions, { ...args, paginationOpts: firstPage(1) });
        const cursor = first.continueCursor;
        expect(JSON.parse(cursor)).toHaveLength(2);
        const second = await as(text).query(judgeApi.submissions, {
          ...args,
          paginationOpts: { numItems: 1, cursor },
        });
        expect([...first.page, ...second.page].map(({ submissionId }) => submissionId)).toEqual(ids.reverse());
        ids.reverse();
      }
    }
  });

  test("keeps the end of a page if the client asks for that", async () => {
    const ids = await submitMany();
    const { continueCursor } = await as("ada").query(judgeApi.submissions, { paginationOpts: firstPage(2) });
    vi.advanceTimersByTime(1);
    const newest = await submit(t, "ada");
    const paginationOpts = { ...firstPage(2), endCursor: continueCursor };
    const { page } = await as("ada").query(judgeApi.submissions, { paginationOpts });
    expect(page.map(({ submissionId }) => submissionId)).toEqual([newest, ids[0], ids[1]]);
  });

  test("shows nothing of others, and not who they are, for a changed cursor", async () => {
    const ids = await submitMany();
    const { continueCursor } = await as("eve").query(judgeApi.submissions, { paginationOpts: firstPage(1) });
    const later = JSON.stringify([Date.now() + 1e9, "zzz"]);
    for (const cursor of [continueCursor, later, '[0,""]', "[]"]) {
      const paginationOpts = { numItems: 10, cursor };
      const result = await as("ada").query(judgeApi.submissions, { paginationOpts });
      expect(result.page.every(({ submissionId }) => ids.includes(submissionId))).toBe(true);
      expect(JSON.stringify(result)).not.toContain('"eve"');
    }
  });

  test.each(["", "x", "{}", "[1]", '["eve",1,"a"]', '["eve"]', '["eve","a"]', "[1,2]", "[null,null]", '[[],"a"]'])(
    "refuses the cursor %j",
    async (cursor) => {
      for (const paginationOpts of [
        { numItems: 10, cursor },
        { ...firstPage(10), endCursor: cursor },
      ]) {
        const result = as("ada").query(judgeApi.submissions, { paginationOpts });
        await expect(result.then(({ page }) => page)).rejects.toMatchObject({
          data: { isConvexSystemError: true, paginationError: "InvalidCursor" },
        });
      }
    },
  );
});

test("a submission of the largest size and its source stay far below 1 MiB", async () => {
  const submissionId = await submit(t, "ada", { sourceCode: "x".repeat(MAX_SOURCE_BYTES) });
  expect(JSON.stringify(await view(t, submissionId)).length).toBeLessThan(1_000);
});
