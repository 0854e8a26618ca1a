import type { Outcome } from "../api/types";
import { plural } from "../format";
import { Link, submissionPage } from "../router";
import { Column, Table } from "./table";

/** The most outcomes that are listed one by one. */
const MAX_LISTED = 500;

/** What was done, or would be done: the counts, then each. Refusals come first. */
export function Outcomes({ outcomes, caption }: { outcomes: Outcome[]; caption: string }) {
  const sorted = outcomes.toSorted((a, b) => Number(b.outcome === "refused") - Number(a.outcome === "refused"));
  return (
    <>
      <p class="outcome-counts">{countsOf(outcomes)}</p>
      {outcomes.length > 0 && (
        <Table
          caption={caption}
          head={
            <>
              <Column>Submission</Column>
              <Column>Outcome</Column>
              <Column>Details</Column>
            </>
          }
        >
          {sorted.slice(0, MAX_LISTED).map(({ id, sequence, outcome, detail }) => (
            <tr key={`${id} ${sequence}`}>
              <th scope="row">
                <Link class="id" href={submissionPage(id)}>
                  {id}
                </Link>
              </th>
              <td class={outcome === "refused" ? "fault-text" : ""}>{outcome}</td>
              <td class="details">{detail}</td>
            </tr>
          ))}
        </Table>
      )}
      {outcomes.length > MAX_LISTED && <p class="hint">The first {MAX_LISTED} are listed.</p>}
    </>
  );
}

/** `3 started, 1 refused`. */
export function countsOf(outcomes: Outcome[]): string {
  const counts = new Map<string, number>();
  for (const { outcome } of outcomes) counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
  const parts = [...counts].map(([outcome, count]) =>
    outcome === "would start" ? `${plural(count, "submission")} would be judged again` : `${count} ${outcome}`,
  );
  return parts.length === 0 ? "There was nothing to do." : `${parts.join(", ")}.`;
}
