import { useId } from "react";
import type { SubmissionView } from "../client/types.js";
import { OutputDiff } from "./outputDiff.js";
import { TextBlock } from "./textBlock.js";
import { isCompileError, isFirstFailureHidden, verdictName } from "./verdict.js";

/**
 * Shows why a submission did not pass: the first failing test with its input, the expected and the actual output; the
 * output of the compiler; or the reason of a system error. Renders nothing for other submissions.
 */
export function FirstFailure({ submission }: { submission: SubmissionView }) {
  const id = useId();
  if (submission.status !== "failed" && submission.status !== "error") return null;
  return (
    <section className="gavel-failure" data-status={submission.status} aria-labelledby={id}>
      <h3 id={id}>{title(submission)}</h3>
      <Body submission={submission} />
    </section>
  );
}

function title(submission: SubmissionView): string {
  if (submission.status === "error") return "This submission could not be judged";
  if (isCompileError(submission)) return "The program did not compile";
  const { firstFailureIndex } = submission;
  const name = verdictName(submission);
  return firstFailureIndex === undefined ? name : `Test ${firstFailureIndex + 1}: ${name}`;
}

function Body({ submission }: { submission: SubmissionView }) {
  const { firstFailure, compileOutput, status } = submission;
  if (status === "error") {
    return (
      <p className="gavel-reason">
        {firstFailure?.errorMessage ?? "The judge gave no reason."} This is not a fault of your program.
      </p>
    );
  }
  if (isCompileError(submission)) {
    return compileOutput ? (
      <TextBlock title="Compiler output" name="compileOutput" field={compileOutput} />
    ) : (
      <p className="gavel-reason">The compiler printed nothing.</p>
    );
  }
  return <FailedTest submission={submission} />;
}

function FailedTest({ submission }: { submission: SubmissionView }) {
  const { stdin, expectedOutput, actualOutput } = submission.firstFailure ?? {};
  return (
    <>
      {isFirstFailureHidden(submission) && (
        <p className="gavel-hidden-test">This test is hidden. Its input and its expected output are not shown.</p>
      )}
      <ErrorText submission={submission} />
      {stdin !== undefined && <TextBlock title="Input" name="stdin" field={stdin} />}
      {expectedOutput !== undefined && actualOutput !== undefined ? (
        <OutputDiff expected={expectedOutput} actual={actualOutput} />
      ) : (
        <>
          {expectedOutput !== undefined && (
            <TextBlock title="Expected output" name="expectedOutput" field={expectedOutput} />
          )}
          {actualOutput !== undefined && <TextBlock title="Your output" name="actualOutput" field={actualOutput} />}
        </>
      )}
    </>
  );
}

/** What a crashed program wrote to stderr, or how it ended. */
function ErrorText({ submission }: { submission: SubmissionView }) {
  const { stderr, firstFailure } = submission;
  if (stderr) return <TextBlock title="Error output" name="stderr" field={stderr} />;
  const message = firstFailure?.errorMessage;
  if (message === undefined || message === verdictName(submission)) return null;
  return <p className="gavel-reason">{message}</p>;
}
