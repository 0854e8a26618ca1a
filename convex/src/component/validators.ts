import { v } from "convex/values";

export const vKind = v.union(v.literal("standard"), v.literal("personalized"));

export const vVerdict = v.union(v.literal("passed"), v.literal("failed"), v.literal("error"));

export const vStatus = v.union(v.literal("queued"), v.literal("running"), ...vVerdict.members);

export const vFirstFailure = v.object({
  stdin: v.optional(v.string()),
  actualOutput: v.optional(v.string()),
  expectedOutput: v.optional(v.string()),
  errorMessage: v.optional(v.string()),
});

/** What a result says besides its status. */
export const vDetails = v.object({
  passedCount: v.optional(v.number()),
  totalCount: v.optional(v.number()),
  firstFailureIndex: v.optional(v.number()),
  firstFailure: v.optional(vFirstFailure),
  stderr: v.optional(v.string()),
  compileOutput: v.optional(v.string()),
  durationMs: v.optional(v.number()),
});

export const vOutputComparison = v.object({
  /** Ignore white space at the end of the output and of each line. */
  trimOutputs: v.boolean(),
  /** Treat a run of spaces and tabs inside a line as one space. */
  normalizeWhitespace: v.boolean(),
  caseSensitive: v.boolean(),
});

/** The limits of a question and the comparison of its outputs. */
export const vQuestion = v.object({
  kind: vKind,
  /** CPU time for each test case. */
  timeLimitSeconds: v.number(),
  memoryLimitMb: v.number(),
  outputComparison: vOutputComparison,
});

export const vTestCase = v.object({
  visibility: v.union(v.literal("public"), v.literal("hidden")),
  stdin: v.string(),
  expectedStdout: v.string(),
  name: v.optional(v.string()),
});

export const vLanguage = v.object({
  id: v.number(),
  name: v.string(),
  version: v.string(),
  engines: v.array(v.string()),
  judges: v.number(),
});
