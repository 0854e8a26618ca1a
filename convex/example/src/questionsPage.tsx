import { useLanguages } from "@gavel/convex/react";
import { useQuery } from "convex/react";
import { api } from "../convex/_generated/api";
import { History } from "./history";
import { solveAddress } from "./route";

/** The list of all questions, and the visitor's latest submissions. */
export function QuestionsPage() {
  const questions = useQuery(api.questions.list, {});
  const languages = useLanguages();
  return (
    <main className="column" tabIndex={-1}>
      <title>Questions – Gavel</title>
      <h1>Questions</h1>
      {questions === undefined && (
        <p className="muted" role="status">
          Loading the questions…
        </p>
      )}
      {questions?.length === 0 && <p className="muted">There are no questions yet.</p>}
      {questions !== undefined && questions.length > 0 && (
        <>
          <ol className="questions">
            {questions.map(({ slug, title, kind }) => (
              <li key={slug}>
                <a href={solveAddress(slug)}>{title}</a>
                {kind === "personalized" && <span className="tag">Personalized</span>}
              </li>
            ))}
          </ol>
          <section aria-labelledby="latest">
            <h2 id="latest">Your submissions</h2>
            <History questions={questions} languages={languages?.languages ?? []} />
          </section>
        </>
      )}
    </main>
  );
}
