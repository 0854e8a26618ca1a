/* eslint-disable */
/**
 * Generated `ComponentApi` utility.
 *
 * THIS CODE IS AUTOMATICALLY GENERATED.
 *
 * To regenerate, run `npx convex dev`.
 * @module
 */

import type { FunctionReference } from "convex/server";

/**
 * A utility for referencing a Convex component's exposed API.
 *
 * Useful when expecting a parameter like `components.myComponent`.
 * Usage:
 * ```ts
 * async function myFunction(ctx: QueryCtx, component: ComponentApi) {
 *   return ctx.runQuery(component.someFile.someQuery, { ...args });
 * }
 * ```
 */
export type ComponentApi<Name extends string | undefined = string | undefined> =
  {
    callbacks: {
      result: FunctionReference<
        "mutation",
        "internal",
        {
          details: {
            compileOutput?: string;
            durationMs?: number;
            firstFailure?: {
              actualOutput?: string;
              errorMessage?: string;
              expectedOutput?: string;
              stdin?: string;
            };
            firstFailureIndex?: number;
            passedCount?: number;
            stderr?: string;
            totalCount?: number;
          };
          generation: number;
          kind: "standard" | "personalized";
          onResult?: string;
          status: "passed" | "failed" | "error";
          submissionId: string;
        },
        "applied" | "unchanged" | "conflict" | "unknown",
        Name
      >;
      running: FunctionReference<
        "mutation",
        "internal",
        {
          generation: number;
          kind: "standard" | "personalized";
          submissionId: string;
        },
        "applied" | "unchanged" | "conflict" | "unknown",
        Name
      >;
    };
    languages: {
      get: FunctionReference<
        "query",
        "internal",
        {},
        {
          fetchedAt: number;
          judges: number;
          languages: Array<{
            engines: Array<string>;
            id: number;
            judges: number;
            name: string;
            version: string;
          }>;
          problem?: string;
        } | null,
        Name
      >;
      refresh: FunctionReference<"mutation", "internal", {}, null, Name>;
    };
    questions: {
      add: FunctionReference<
        "mutation",
        "internal",
        {
          question: {
            kind: "standard" | "personalized";
            memoryLimitMb: number;
            outputComparison: {
              caseSensitive: boolean;
              normalizeWhitespace: boolean;
              trimOutputs: boolean;
            };
            timeLimitSeconds: number;
          };
          testCases: Array<{
            expectedStdout: string;
            name?: string;
            stdin: string;
            visibility: "public" | "hidden";
          }>;
        },
        string,
        Name
      >;
      judgeData: FunctionReference<
        "query",
        "internal",
        { kind: "standard" | "personalized"; questionId: string },
        {
          question: {
            _id: string;
            memoryLimitMb: number;
            outputComparison: {
              caseSensitive: boolean;
              normalizeWhitespace: boolean;
              trimOutputs: boolean;
            };
            timeLimitSeconds: number;
          };
          testCases: Array<{
            _id: string;
            expectedStdout: string;
            name?: string;
            order: number;
            stdin: string;
            visibility: "public" | "hidden";
          }>;
        } | null,
        Name
      >;
      publicTestCases: FunctionReference<
        "query",
        "internal",
        { questionId: string },
        {
          hiddenCount: number;
          public: Array<{
            expectedStdout: string;
            name?: string;
            order: number;
            stdin: string;
          }>;
        } | null,
        Name
      >;
      setTestCases: FunctionReference<
        "mutation",
        "internal",
        {
          questionId: string;
          testCases: Array<{
            expectedStdout: string;
            name?: string;
            stdin: string;
            visibility: "public" | "hidden";
          }>;
        },
        null,
        Name
      >;
      update: FunctionReference<
        "mutation",
        "internal",
        {
          change: {
            kind?: "standard" | "personalized";
            memoryLimitMb?: number;
            outputComparison?: {
              caseSensitive: boolean;
              normalizeWhitespace: boolean;
              trimOutputs: boolean;
            };
            timeLimitSeconds?: number;
          };
          questionId: string;
        },
        null,
        Name
      >;
    };
    replays: {
      remember: FunctionReference<
        "mutation",
        "internal",
        { webhookId: string },
        boolean,
        Name
      >;
    };
    submissions: {
      get: FunctionReference<
        "query",
        "internal",
        { submissionId: string; userId: string },
        {
          compileOutput?: string;
          durationMs?: number;
          finishedAt?: number;
          firstFailure?: {
            actualOutput?: string;
            errorMessage?: string;
            expectedOutput?: string;
            stdin?: string;
          };
          firstFailureIndex?: number;
          generation: number;
          kind: "standard" | "personalized";
          languageId: number;
          passedCount?: number;
          questionId: string;
          runningAt?: number;
          status: "queued" | "running" | "passed" | "failed" | "error";
          stderr?: string;
          submissionId: string;
          submittedAt: number;
          totalCount?: number;
        } | null,
        Name
      >;
      list: FunctionReference<
        "query",
        "internal",
        {
          paginationOpts: {
            cursor: string | null;
            endCursor?: string | null;
            id?: number;
            maximumBytesRead?: number;
            maximumRowsRead?: number;
            numItems: number;
          };
          questionId?: string;
          userId: string;
        },
        {
          continueCursor: string;
          isDone: boolean;
          page: Array<{
            compileOutput?: string;
            durationMs?: number;
            finishedAt?: number;
            firstFailure?: {
              actualOutput?: string;
              errorMessage?: string;
              expectedOutput?: string;
              stdin?: string;
            };
            firstFailureIndex?: number;
            generation: number;
            kind: "standard" | "personalized";
            languageId: number;
            passedCount?: number;
            questionId: string;
            runningAt?: number;
            status: "queued" | "running" | "passed" | "failed" | "error";
            stderr?: string;
            submissionId: string;
            submittedAt: number;
            totalCount?: number;
          }>;
          pageStatus?: "SplitRecommended" | "SplitRequired" | null;
          splitCursor?: string | null;
        },
        Name
      >;
      source: FunctionReference<
        "query",
        "internal",
        { submissionId: string; userId: string },
        string | null,
        Name
      >;
      submit: FunctionReference<
        "mutation",
        "internal",
        {
          kind: "standard" | "personalized";
          languageId: number;
          questionId: string;
          sourceCode: string;
          userId: string;
        },
        { submissionId: string } | { code: string; message: string },
        Name
      >;
    };
  };
