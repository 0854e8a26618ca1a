import {
  mutationGeneric,
  paginationOptsValidator,
  paginationResultValidator,
  queryGeneric,
  type GenericDataModel,
  type GenericMutationCtx,
  type GenericQueryCtx,
  type PaginationResult,
} from "convex/server";
import { ConvexError, v } from "convex/values";
import { vKind } from "../component/validators.js";
import { vLanguagesView, vSubmissionView, vTestCasesView } from "../component/view.js";
import type { Gavel, SubmitError } from "./gavel.js";
import type { LanguagesView, SubmissionKind, SubmissionView, TestCasesView } from "./types.js";

/** Options of {@link Gavel.api}. */
export type ApiOptions<DataModel extends GenericDataModel> = {
  /**
   * Returns the id of the signed-in user, or null. Without a user, mutations throw a `ConvexError` with the code
   * `unauthenticated`, and queries return null or an empty page.
   */
  userId: (ctx: GenericQueryCtx<DataModel> | GenericMutationCtx<DataModel>) => Promise<string | null>;
  /** Throws if the user may not submit for this question. By default, every user may. */
  authorizeSubmit?: (
    ctx: GenericMutationCtx<DataModel>,
    args: { userId: string; questionId: string; kind: SubmissionKind },
  ) => Promise<void>;
  /** Loads the public test cases of a question for the browser. By default from the package's own tables. */
  testCases?: (
    ctx: GenericQueryCtx<DataModel>,
    args: { userId: string; questionId: string },
  ) => Promise<TestCasesView | null>;
};

const NO_SUBMISSIONS: PaginationResult<SubmissionView> = { page: [], isDone: true, continueCursor: "" };

/** Returns the public functions for the browser. */
export function defineApi<DataModel extends GenericDataModel>(gavel: Gavel, options: ApiOptions<DataModel>) {
  return {
    submit: submit(gavel, options),
    ...submissionQueries(gavel, options),
    testCases: testCases(gavel, options),
    ...languageFunctions(gavel, options),
  };
}

function submit<DataModel extends GenericDataModel>(gavel: Gavel, options: ApiOptions<DataModel>) {
  return mutationGeneric({
    args: {
      questionId: v.string(),
      languageId: v.number(),
      sourceCode: v.string(),
      kind: v.optional(vKind),
    },
    returns: v.string(),
    handler: async (ctx: GenericMutationCtx<DataModel>, args): Promise<string> => {
      const userId = await requiredUserId(ctx, options);
      const { questionId, kind = "standard" } = args;
      await options.authorizeSubmit?.(ctx, { userId, questionId, kind });
      return await gavel.submit(ctx, { ...args, userId });
    },
  });
}

function submissionQueries<DataModel extends GenericDataModel>(gavel: Gavel, { userId }: ApiOptions<DataModel>) {
  const submission = queryGeneric({
    args: { submissionId: v.string() },
    returns: v.union(vSubmissionView, v.null()),
    handler: async (ctx: GenericQueryCtx<DataModel>, args): Promise<SubmissionView | null> => {
      const user = await userId(ctx);
      return user === null ? null : await gavel.submission(ctx, { ...args, userId: user });
    },
  });
  const submissions = queryGeneric({
    args: { questionId: v.optional(v.string()), paginationOpts: paginationOptsValidator },
    returns: paginationResultValidator(vSubmissionView),
    handler: async (ctx: GenericQueryCtx<DataModel>, args): Promise<PaginationResult<SubmissionView>> => {
      const user = await userId(ctx);
      return user === null ? NO_SUBMISSIONS : await gavel.submissions(ctx, { ...args, userId: user });
    },
  });
  const source = queryGeneric({
    args: { submissionId: v.string() },
    returns: v.union(v.string(), v.null()),
    handler: async (ctx: GenericQueryCtx<DataModel>, args): Promise<string | null> => {
      const user = await userId(ctx);
      return user === null ? null : await gavel.source(ctx, { ...args, userId: user });
    },
  });
  return { submission, submissions, source };
}

function testCases<DataModel extends GenericDataModel>(gavel: Gavel, options: ApiOptions<DataModel>) {
  return queryGeneric({
    args: { questionId: v.string() },
    returns: v.union(vTestCasesView, v.null()),
    handler: async (ctx: GenericQueryCtx<DataModel>, args): Promise<TestCasesView | null> => {
      const userId = await options.userId(ctx);
      if (userId === null) {
        return null;
      }
      return options.testCases ? await options.testCases(ctx, { ...args, userId }) : await gavel.testCases(ctx, args);
    },
  });
}

function languageFunctions<DataModel extends GenericDataModel>(gavel: Gavel, options: ApiOptions<DataModel>) {
  const languages = queryGeneric({
    args: {},
    returns: v.union(vLanguagesView, v.null()),
    handler: async (ctx: GenericQueryCtx<DataModel>): Promise<LanguagesView | null> =>
      (await options.userId(ctx)) === null ? null : await gavel.languages(ctx),
  });
  const refreshLanguages = mutationGeneric({
    args: {},
    returns: v.null(),
    handler: async (ctx: GenericMutationCtx<DataModel>): Promise<null> => {
      await requiredUserId(ctx, options);
      await gavel.refreshLanguages(ctx);
      return null;
    },
  });
  return { languages, refreshLanguages };
}

async function requiredUserId<DataModel extends GenericDataModel>(
  ctx: GenericMutationCtx<DataModel>,
  { userId }: ApiOptions<DataModel>,
): Promise<string> {
  const user = await userId(ctx);
  if (user === null) {
    throw new ConvexError<SubmitError>({ code: "unauthenticated", message: "Sign in first." });
  }
  return user;
}
