import { QUESTIONS } from "./route";

/** Says that an address leads nowhere. */
export function NotFound({ what }: { what: "page" | "question" }) {
  return (
    <>
      <title>Not found – Gavel</title>
      <h1>Not found</h1>
      <p>There is no such {what}.</p>
      <p>
        <a href={QUESTIONS}>All questions</a>
      </p>
    </>
  );
}
