import type { SubmissionView } from "../client/types.js";
import { isCompileError, isFinal, isFirstFailureHidden } from "./verdict.js";
import { VisuallyHidden } from "./visuallyHidden.js";

type ChipState = "passed" | "failed" | "not-run" | "unknown";

const TEXT: Record<ChipState, string> = {
  passed: "passed",
  failed: "failed",
  "not-run": "not run",
  unknown: "not judged",
};

/** A symbol for each state, so that colour is not the only difference. */
const SYMBOL: Record<ChipState, string> = { passed: "✓", failed: "✗", "not-run": "–", unknown: "?" };

/**
 * Shows one chip per test: passed, the first failure, or not run. The first failure has a lock if the test is hidden;
 * of the others the verdict does not say it. Renders nothing until the verdict is known.
 */
export function TestChips({ submission }: { submission: SubmissionView }) {
  const { status, totalCount } = submission;
  if (!isFinal(status) || !totalCount) return null;
  return (
    <ol className="gavel-tests" aria-label="Tests">
      {Array.from({ length: totalCount }, (_, index) => (
        <Chip key={index} number={index + 1} {...chip(submission, index)} />
      ))}
    </ol>
  );
}

function chip(submission: SubmissionView, index: number): { state: ChipState; isHidden: boolean } {
  const { status, passedCount = 0, firstFailureIndex } = submission;
  if (status === "passed" || (index < passedCount && !isCompileError(submission))) {
    return { state: "passed", isHidden: false };
  }
  if (status === "error") return { state: "unknown", isHidden: false };
  if (index === firstFailureIndex && !isCompileError(submission)) {
    return { state: "failed", isHidden: isFirstFailureHidden(submission) === true };
  }
  return { state: "not-run", isHidden: false };
}

function Chip({ number, state, isHidden }: { number: number; state: ChipState; isHidden: boolean }) {
  const text = `Test ${number}: ${TEXT[state]}${isHidden ? ", hidden" : ""}`;
  return (
    <li className="gavel-test" data-state={state} data-hidden={isHidden || undefined} title={text}>
      <span aria-hidden="true">
        <span className="gavel-test-symbol">{SYMBOL[state]}</span> {number}
        {isHidden && <Lock />}
      </span>
      <VisuallyHidden>{text}</VisuallyHidden>
    </li>
  );
}

function Lock() {
  return (
    <svg className="gavel-lock" viewBox="0 0 12 12" width="0.8em" height="0.8em" fill="currentColor">
      <path d="M3 5V4a3 3 0 0 1 6 0v1h1v6H2V5Zm1.5 0h3V4a1.5 1.5 0 0 0-3 0Z" />
    </svg>
  );
}
