import { useLanguages } from "@gavel/convex/react";
import { useQuery } from "convex/react";
import { useEffect, useRef } from "react";
import { api } from "../convex/_generated/api";
import { ErrorBoundary } from "./errorBoundary";
import { History } from "./history";
import { NotFound } from "./notFound";
import { QuestionPanel, type Question } from "./questionPanel";
import { ResultPanel } from "./resultPanel";
import { navigate, solveAddress } from "./route";
import { useDrafts } from "./useDrafts";
import { useLanguageChoice } from "./useLanguageChoice";
import { useSourceLoader } from "./useSourceLoader";
import { Workbench } from "./workbench";

type Props = { slug: string; submissionId: string | undefined };

/** A question next to the editor, the result of a submission, and earlier submissions. */
export function SolvePage({ slug, submissionId }: Props) {
  const question = useQuery(api.questions.get, { slug });
  // One element before and after the question has loaded, so that it keeps the focus.
  return (
    <main className={question ? "solve" : "column"} tabIndex={-1}>
      {question === undefined && (
        <p className="muted" role="status">
          Loading the question…
        </p>
      )}
      {question === null && <NotFound what="question" />}
      {question && <Solve question={question} submissionId={submissionId} />}
    </main>
  );
}

function Solve({ question, submissionId }: { question: Question; submissionId: string | undefined }) {
  const languages = useLanguages();
  const choice = useLanguageChoice(languages);
  const drafts = useDrafts(question);
  const loader = useSourceLoader(drafts, choice.choose);
  const [resultRef, focusNextResult] = useResultFocus(submissionId);
  return (
    <>
      <title>{`${question.title} – Gavel`}</title>
      <div className="pane question-pane">
        <ErrorBoundary>
          <QuestionPanel question={question} />
        </ErrorBoundary>
      </div>
      <div className="pane work-pane">
        <Workbench
          question={question}
          languages={languages}
          choice={choice}
          drafts={drafts}
          loader={loader}
          onSubmitted={(id) => navigate(solveAddress(question.slug, id))}
        />
        {submissionId !== undefined && (
          <section ref={resultRef} className="result" aria-label="Submission" tabIndex={-1}>
            <ErrorBoundary key={submissionId}>
              <ResultPanel
                submissionId={submissionId}
                questionId={question.questionId}
                languages={languages?.languages ?? []}
                onLoadSource={(submission) => void loader.load(submission)}
              />
            </ErrorBoundary>
          </section>
        )}
        <section aria-labelledby="history">
          <h2 id="history">Your submissions</h2>
          <ErrorBoundary>
            <History
              questionId={question.questionId}
              questions={[question]}
              languages={languages?.languages ?? []}
              currentId={submissionId}
              onSelect={focusNextResult}
            />
          </ErrorBoundary>
        </section>
      </div>
    </>
  );
}

/** Brings the result of another submission into view. A submission that was picked from the list gets the focus, too. */
function useResultFocus(submissionId: string | undefined) {
  const ref = useRef<HTMLElement>(null);
  const takesFocus = useRef(false);
  useEffect(() => {
    if (submissionId === undefined) return;
    if (takesFocus.current) ref.current?.focus();
    else ref.current?.scrollIntoView({ block: "nearest" });
    takesFocus.current = false;
  }, [submissionId]);
  return [ref, () => void (takesFocus.current = true)] as const;
}
