import {
  PAGE_SIZE,
  score,
  useSubmissions,
  verdictName,
  type LanguageView,
  type SubmissionView,
} from "@gavel/convex/react";
import { languageName } from "./languages";
import { solveAddress } from "./route";
import { Time } from "./time";

/** What the list needs to know of a question. */
export type QuestionLink = { questionId: string; slug: string; title: string };

type Props = {
  /** Lists only the submissions for this question. */
  questionId?: string;
  /** The questions that submissions can belong to. */
  questions: QuestionLink[];
  /** The languages that judges offer, for their names. */
  languages: LanguageView[];
  /** The submission that the page shows. */
  currentId?: string | undefined;
  onSelect?: () => void;
};

/** The visitor's submissions, newest first, a page at a time. */
export function History({ questionId, questions, languages, currentId, onSelect }: Props) {
  const { results, status, loadMore } = useSubmissions(questionId);
  if (status === "LoadingFirstPage") return <p className="muted">Loading your submissions…</p>;
  if (results.length === 0) return <p className="muted">You have not submitted anything yet.</p>;
  return (
    <>
      <ol className="history">
        {results.map((submission) => (
          <Item
            key={submission.submissionId}
            submission={submission}
            question={questions.find(({ questionId }) => questionId === submission.questionId)}
            hasTitle={questionId === undefined}
            language={languageName(languages, submission.languageId)}
            isCurrent={submission.submissionId === currentId}
            onSelect={onSelect}
          />
        ))}
      </ol>
      {status !== "Exhausted" && (
        <button
          type="button"
          className="button"
          aria-disabled={status === "LoadingMore"}
          onClick={() => loadMore(PAGE_SIZE)}
        >
          {status === "LoadingMore" ? "Loading…" : "Show earlier submissions"}
        </button>
      )}
    </>
  );
}

type ItemProps = {
  submission: SubmissionView;
  question: QuestionLink | undefined;
  hasTitle: boolean;
  language: string;
  isCurrent: boolean;
  onSelect: (() => void) | undefined;
};

function Item({ submission, question, hasTitle, language, isCurrent, onSelect }: ItemProps) {
  const verdict = (
    <span className="history-verdict" data-status={submission.status}>
      {verdictName(submission)}
    </span>
  );
  return (
    <li aria-current={isCurrent || undefined}>
      {question === undefined ? (
        verdict
      ) : (
        <a href={solveAddress(question.slug, submission.submissionId)} onClick={onSelect}>
          {verdict}
          {hasTitle && <span className="history-title">{question.title}</span>}
        </a>
      )}
      <span className="history-details">
        {[score(submission), language].filter(Boolean).join(" · ")}
        {" · "}
        <Time ms={submission.submittedAt} />
      </span>
    </li>
  );
}
