import type { SubmissionStatus, SubmissionView } from "../client/types.js";

/** The verdicts that Gavel sends as `errorMessage`. For others the field holds the text of the compiler or of stderr. */
const NAMED_FAILURES = new Set([
  "Wrong answer",
  "Time limit exceeded",
  "Memory limit exceeded",
  "Output limit exceeded",
]);

/** Whether a submission with this status has a verdict. */
export function isFinal(status: SubmissionStatus): boolean {
  return status !== "queued" && status !== "running";
}

/** Whether the program did not compile, so that no test was run. */
export function isCompileError(submission: SubmissionView): boolean {
  if (submission.status !== "failed") return false;
  // Gavel sends the compiler's output only if the compilation failed.
  return !!submission.compileOutput || submission.firstFailure?.errorMessage === "Compilation failed";
}

/** The status of a submission in a few words, for example `Wrong answer`. */
export function verdictName(submission: SubmissionView): string {
  switch (submission.status) {
    case "queued":
      return "Queued";
    case "running":
      return "Running";
    case "passed":
      return "Passed";
    case "error":
      return "System error";
    case "failed":
      return failureName(submission);
  }
}

function failureName(submission: SubmissionView): string {
  if (isCompileError(submission)) return "Compile error";
  const message = submission.firstFailure?.errorMessage;
  if (message === undefined) return "Failed";
  return NAMED_FAILURES.has(message) ? message : "Runtime error";
}

/** The score, for example `3 / 10 passed`. `undefined` if it is not known. */
export function score({ passedCount, totalCount }: SubmissionView): string | undefined {
  if (passedCount === undefined || totalCount === undefined) return undefined;
  return `${passedCount} / ${totalCount} passed`;
}

/**
 * Whether the first failing test is hidden. Gavel sends the expected output of a public test only.
 * `undefined` if no test failed.
 */
export function isFirstFailureHidden(submission: SubmissionView): boolean | undefined {
  const { status, firstFailure } = submission;
  if (status !== "failed" || firstFailure === undefined || isCompileError(submission)) return undefined;
  return firstFailure.expectedOutput === undefined;
}
