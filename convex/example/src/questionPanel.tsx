import { useQuery } from "convex/react";
import type { FunctionReturnType } from "convex/server";
import { api } from "../convex/_generated/api";

/** A question as the page shows it. */
export type Question = NonNullable<FunctionReturnType<typeof api.questions.get>>;

type TestCases = NonNullable<FunctionReturnType<typeof api.judge.testCases>>;

/** The statement of a question, its limits and its public test cases. */
export function QuestionPanel({ question }: { question: Question }) {
  const { questionId, title, kind, statement, timeLimitSeconds, memoryLimitMb } = question;
  const testCases = useQuery(api.judge.testCases, { questionId });
  return (
    <article>
      <h1>{title}</h1>
      <p className="limits">
        <span>Time limit {timeLimitSeconds} s</span>
        <span>Memory limit {memoryLimitMb} MiB</span>
        {kind === "personalized" && <span>Personalized</span>}
      </p>
      <p className="statement">{statement}</p>
      {testCases === undefined ? <p className="muted">Loading the examples…</p> : <Examples testCases={testCases} />}
    </article>
  );
}

function Examples({ testCases }: { testCases: TestCases | null }) {
  const examples = testCases?.public ?? [];
  const hiddenCount = testCases?.hiddenCount ?? 0;
  if (examples.length + hiddenCount === 0) {
    return <p className="notice">This question has no tests yet. Submissions for it cannot be judged.</p>;
  }
  return (
    <>
      {examples.length > 0 && <h2>Examples</h2>}
      {examples.map(({ stdin, expectedStdout, name, order }, index) => (
        <section key={order} className="example" aria-labelledby={`example-${index}`}>
          <h3 id={`example-${index}`}>
            Example {index + 1}
            {name && <span className="muted">, {name}</span>}
          </h3>
          <div className="example-texts">
            <Text title="Input" text={stdin} />
            <Text title="Output" text={expectedStdout} />
          </div>
        </section>
      ))}
      {hiddenCount > 0 && (
        <p className="muted">
          {hiddenCount === 1 ? "One more test is hidden." : `${hiddenCount} more tests are hidden.`}
        </p>
      )}
    </>
  );
}

function Text({ title, text }: { title: string; text: string }) {
  return (
    <figure>
      <figcaption>{title}</figcaption>
      {/* Focusable, so that the keyboard can scroll it. */}
      {/* eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex */}
      {text === "" ? <p className="muted">Empty</p> : <pre tabIndex={0}>{text}</pre>}
    </figure>
  );
}
