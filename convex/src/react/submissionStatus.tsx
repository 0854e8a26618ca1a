import { useEffect, useState } from "react";
import type { SubmissionView } from "../client/types.js";
import { isFinal, score, verdictName } from "./verdict.js";
import { VisuallyHidden } from "./visuallyHidden.js";

/** Milliseconds after which the status says that a submission takes longer than usual. */
export const SLOW_AFTER = 10_000;

/** Where a step is: behind the submission, where it is now, ahead of it, or left out. */
type StepState = "done" | "current" | "pending" | "skipped";

/**
 * Shows how far a submission is: the steps Queued, Running and Verdict, and a line that screen readers announce when it
 * changes. The root has the class `gavel-status` and the status in `data-status`.
 */
export function SubmissionStatus({ submission }: { submission: SubmissionView }) {
  const { status } = submission;
  return (
    <section className="gavel-status" data-status={status} aria-label="Status of the submission">
      <ol className="gavel-steps">
        <Step label="Queued" state={status === "queued" ? "current" : "done"} />
        <Step label="Running" state={runningState(submission)} />
        <Step label="Verdict" state={isFinal(status) ? "current" : "pending"} />
      </ol>
      {/* One live region that stays in the page: it is announced only when its text changes. */}
      <p className="gavel-summary" role="status">
        <Summary submission={submission} />
      </p>
    </section>
  );
}

function runningState({ status, runningAt }: SubmissionView): StepState {
  if (status === "queued") return "pending";
  if (status === "running") return "current";
  return status === "error" && runningAt === undefined ? "skipped" : "done";
}

const STEP_TEXT: Record<StepState, string> = {
  done: "done",
  current: "current step",
  pending: "not reached",
  skipped: "skipped",
};

function Step({ label, state }: { label: string; state: StepState }) {
  return (
    <li className="gavel-step" data-state={state} aria-current={state === "current" ? "step" : undefined}>
      <span className="gavel-step-label">{label}</span>
      <VisuallyHidden>, {STEP_TEXT[state]}</VisuallyHidden>
    </li>
  );
}

function Summary({ submission }: { submission: SubmissionView }) {
  const isSlow = useIsSlow(submission);
  if (submission.status === "queued") return isSlow ? "Still waiting for a judge." : "Waiting for a judge.";
  if (submission.status === "running") return isSlow ? "Still running the tests." : "Running the tests.";
  const parts = [score(submission), duration(submission)].filter((part) => part !== undefined);
  return (
    <>
      <strong className="gavel-verdict">{verdictName(submission)}</strong>
      {parts.map((part) => (
        <span key={part}>, {part}</span>
      ))}
    </>
  );
}

function duration({ durationMs }: SubmissionView): string | undefined {
  if (durationMs === undefined) return undefined;
  return `${(durationMs / 1000).toFixed(durationMs < 10_000 ? 2 : 0)}\u00a0s`;
}

/**
 * Whether this submission has had its status for {@link SLOW_AFTER}. Counted from when the page first showed it, since
 * the clock of the page may differ from the server's.
 */
function useIsSlow({ submissionId, status }: SubmissionView): boolean {
  const wait = isFinal(status) ? undefined : `${submissionId} ${status}`;
  const [slowWait, setSlowWait] = useState<string>();
  useEffect(() => {
    if (wait === undefined) return;
    const timer = setTimeout(() => setSlowWait(wait), SLOW_AFTER);
    return () => clearTimeout(timer);
  }, [wait]);
  return wait !== undefined && wait === slowWait;
}
