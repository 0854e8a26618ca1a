import type { SubmissionView } from "../client/types.js";

/** A submission for the tests of this folder: ten tests, the fourth fails. */
export function submission(fields: Partial<SubmissionView> = {}): SubmissionView {
  return {
    submissionId: "s1",
    questionId: "q1",
    kind: "standard",
    languageId: 71,
    status: "failed",
    submittedAt: Date.UTC(2026, 0, 2, 3, 4, 5),
    finishedAt: Date.UTC(2026, 0, 2, 3, 4, 6),
    generation: 1,
    passedCount: 3,
    totalCount: 10,
    firstFailureIndex: 3,
    firstFailure: { stdin: "1 2\n", actualOutput: "4\n", expectedOutput: "3\n", errorMessage: "Wrong answer" },
    durationMs: 812,
    ...fields,
  };
}

/** A submission that has no verdict yet. */
export function unfinished(status: "queued" | "running", submissionId = "s1"): SubmissionView {
  const { questionId, kind, languageId, submittedAt } = submission();
  const runningAt = status === "running" ? submittedAt + 100 : undefined;
  const generation = status === "running" ? 1 : 0;
  return {
    submissionId,
    questionId,
    kind,
    languageId,
    submittedAt,
    status,
    generation,
    ...(runningAt && { runningAt }),
  };
}
