import type {
  GenericActionCtx,
  GenericDataModel,
  GenericMutationCtx,
  PaginationOptions,
  PaginationResult,
} from "convex/server";
import { ConvexError } from "convex/values";
import type { ComponentApi } from "../component/_generated/component.js";
import { defineApi, type ApiOptions } from "./api.js";
import type { LanguagesView, Question, SubmissionKind, SubmissionView, TestCase, TestCasesView } from "./types.js";

/** A context that can run queries: of a query, a mutation or an action. */
export type QueryRunner = Pick<GenericActionCtx<GenericDataModel>, "runQuery">;
/** A context that can run mutations: of a mutation or an action. */
export type MutationRunner = Pick<GenericMutationCtx<GenericDataModel>, "runMutation">;

/** Why a submission is refused. The `data` of the `ConvexError` that {@link Gavel.submit} throws. */
export type SubmitError = {
  code: "unauthenticated" | "source_too_large" | "invalid_source" | "invalid_language" | "invalid_question";
  /** One sentence for the learner. */
  message: string;
};

/**
 * The judge, for the functions of an app.
 *
 * ```ts
 * export const gavel = new Gavel(components.gavel);
 * ```
 *
 * None of the methods knows who calls: pass the id of the signed-in user. {@link Gavel.api} does that.
 */
export class Gavel {
  constructor(readonly component: ComponentApi) {}

  /** Returns the public functions for the browser. Export them from a file of the app. */
  api<DataModel extends GenericDataModel>(options: ApiOptions<DataModel>) {
    return defineApi(this, options);
  }

  /**
   * Stores a submission as `queued`, and sends it to the judge once the transaction has committed. Returns its id. Throws
   * a `ConvexError` with a {@link SubmitError} if it can never be judged.
   */
  async submit(
    ctx: MutationRunner,
    args: { userId: string; questionId: string; languageId: number; sourceCode: string; kind?: SubmissionKind },
  ): Promise<string> {
    const answer = await ctx.runMutation(this.component.submissions.submit, {
      ...args,
      kind: args.kind ?? "standard",
    });
    if ("code" in answer) {
      throw new ConvexError(answer);
    }
    return answer.submissionId;
  }

  /** Returns a submission, or null if it is unknown or another user's. */
  async submission(ctx: QueryRunner, args: { userId: string; submissionId: string }): Promise<SubmissionView | null> {
    return await ctx.runQuery(this.component.submissions.get, args);
  }

  /** Returns a page of a user's submissions, newest first, of one question or of all. At most 100 at a time. */
  async submissions(
    ctx: QueryRunner,
    args: { userId: string; questionId?: string; paginationOpts: PaginationOptions },
  ): Promise<PaginationResult<SubmissionView>> {
    return await ctx.runQuery(this.component.submissions.list, args);
  }

  /** Returns the source of a submission, or null if it is unknown or another user's. */
  async source(ctx: QueryRunner, args: { userId: string; submissionId: string }): Promise<string | null> {
    return await ctx.runQuery(this.component.submissions.source, args);
  }

  /** Returns the public test cases of a question of the package's own tables, or null if it is unknown. */
  async testCases(ctx: QueryRunner, args: { questionId: string }): Promise<TestCasesView | null> {
    return await ctx.runQuery(this.component.questions.publicTestCases, args);
  }

  /** Returns the languages of the running judges as last fetched, or null if they were never asked for. */
  async languages(ctx: QueryRunner): Promise<LanguagesView | null> {
    return await ctx.runQuery(this.component.languages.get, {});
  }

  /** Fetches the languages again unless that was done within the last minute, or 5 s while there are none. */
  async refreshLanguages(ctx: MutationRunner): Promise<void> {
    await ctx.runMutation(this.component.languages.refresh, {});
  }

  /** Adds a question to the package's own tables. Its test cases are judged in their order here. Returns its id. */
  async addQuestion(
    ctx: MutationRunner,
    {
      testCases,
      kind = "standard",
      ...limits
    }: Omit<Question, "kind"> & { kind?: SubmissionKind; testCases: TestCase[] },
  ): Promise<string> {
    return await ctx.runMutation(this.component.questions.add, { question: { kind, ...limits }, testCases });
  }

  /** Changes a question of the package's own tables. */
  async updateQuestion(ctx: MutationRunner, args: { questionId: string; change: Partial<Question> }): Promise<void> {
    await ctx.runMutation(this.component.questions.update, args);
  }

  /** Replaces the test cases of a question of the package's own tables. */
  async setTestCases(ctx: MutationRunner, args: { questionId: string; testCases: TestCase[] }): Promise<void> {
    await ctx.runMutation(this.component.questions.setTestCases, args);
  }
}
