import type { ComponentChildren } from "preact";
import type { RequestProblem } from "../api/client";

/** Why something failed, and what to do. */
export function ProblemNote({ problem }: { problem: Pick<RequestProblem, "message" | "remedy"> }) {
  return (
    <div class="note fault" role="alert">
      <p>{sentence(problem.message)}</p>
      {problem.remedy !== undefined && <p class="remedy">{sentence(problem.remedy)}</p>}
    </div>
  );
}

/** What stands in the place of data. */
export function Empty({ children }: { children: ComponentChildren }) {
  return <p class="empty">{children}</p>;
}

export function Loading() {
  return <p class="empty loading">Loading…</p>;
}

/** A clause with a capital and a full stop. */
export function sentence(text: string): string {
  const trimmed = text.trim();
  const start = trimmed.charAt(0).toUpperCase() + trimmed.slice(1);
  return /[.!?…]$/.test(start) ? start : `${start}.`;
}
