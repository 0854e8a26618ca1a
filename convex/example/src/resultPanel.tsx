import {
  FirstFailure,
  SubmissionStatus,
  TestChips,
  useSubmission,
  type LanguageView,
  type SubmissionView,
} from "@gavel/convex/react";
import { languageName } from "./languages";
import { Time } from "./time";

type Props = {
  submissionId: string;
  /** The question of the page. The submission of another question is not shown under it. */
  questionId: string;
  languages: LanguageView[];
  onLoadSource: (submission: SubmissionView) => void;
};

/** The status of a submission and its verdict. */
export function ResultPanel({ submissionId, questionId, languages, onLoadSource }: Props) {
  const { submission, isFinal } = useSubmission(submissionId);
  const isLoading = submission === undefined;
  if (isLoading || submission === null || submission.questionId !== questionId) {
    const text = isLoading ? "Loading the submission…" : "This submission does not exist, or it is not one of yours.";
    return (
      <>
        <h2>Submission</h2>
        <p className={isLoading ? "muted" : "notice"}>{text}</p>
      </>
    );
  }
  return (
    <>
      <div className="result-head">
        <h2>Submission</h2>
        <p className="muted">
          {languageName(languages, submission.languageId)} · <Time ms={submission.submittedAt} />
        </p>
        <button type="button" className="quiet-button" onClick={() => onLoadSource(submission)}>
          Load into the editor
        </button>
      </div>
      <SubmissionStatus submission={submission} />
      {submission.generation > 1 && (
        <p className="muted">
          {isFinal ? "This submission was judged again." : "This submission is being judged again."}
        </p>
      )}
      <TestChips submission={submission} />
      <FirstFailure submission={submission} />
    </>
  );
}
