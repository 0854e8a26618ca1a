import { v } from "convex/values";
import type { SubmissionView } from "../client/types.js";
import type { Doc } from "./_generated/dataModel.js";
import { generationOf } from "./rank.js";
import { vDetails, vKind, vLanguage, vStatus } from "./validators.js";

/** A submission as its author may see it. */
export const vSubmissionView = v.object({
  submissionId: v.string(),
  questionId: v.string(),
  kind: vKind,
  languageId: v.number(),
  status: vStatus,
  submittedAt: v.number(),
  runningAt: v.optional(v.number()),
  finishedAt: v.optional(v.number()),
  generation: v.number(),
  ...vDetails.fields,
});

/** The test cases of a question as learners may see them. */
export const vTestCasesView = v.object({
  public: v.array(
    v.object({ name: v.optional(v.string()), order: v.number(), stdin: v.string(), expectedStdout: v.string() }),
  ),
  hiddenCount: v.number(),
});

/** The languages of the running judges. */
export const vLanguagesView = v.object({
  languages: v.array(vLanguage),
  judges: v.number(),
  fetchedAt: v.number(),
  problem: v.optional(v.string()),
});

export function toView(submission: Doc<"submissions">): SubmissionView {
  const { _id, _creationTime, questionId, kind, languageId, status, runningAt, finishedAt } = submission;
  return {
    submissionId: _id,
    questionId,
    kind,
    languageId,
    status,
    submittedAt: _creationTime,
    runningAt,
    finishedAt,
    generation: generationOf(submission.rank),
    ...submission.details,
  };
}
