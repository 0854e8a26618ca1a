import { Component } from "preact";
import type { Row } from "../api/types";
import { duration, shortId } from "../format";
import { Link, submissionPage } from "../router";
import { StateBadge } from "../ui/badge";
import { Column, Table } from "../ui/table";
import { Time } from "../ui/time";
import { keyOf } from "./rows";

export function SubmissionTable({ rows, caption = "Submissions" }: { rows: Row[]; caption?: string }) {
  return (
    <Table
      caption={caption}
      class="submissions"
      head={
        <>
          <Column>Changed</Column>
          <Column>Submission</Column>
          <Column class="wide-only">Question</Column>
          <Column class="wide-only">Language</Column>
          <Column>State</Column>
          <Column class="wide-only">Details</Column>
          <Column number class="wide-only">
            Took
          </Column>
        </>
      }
    >
      {rows.map((row) => (
        <SubmissionRow key={keyOf(row)} row={row} />
      ))}
    </Table>
  );
}

/** One row. It is drawn again only if its submission has changed, which is a new object then. */
class SubmissionRow extends Component<{ row: Row }> {
  override shouldComponentUpdate(next: { row: Row }): boolean {
    return next.row !== this.props.row;
  }

  override render({ row }: { row: Row }) {
    const { id, generation, question, languageName, durationMs, says } = row;
    return (
      <tr>
        <td class="when">
          <Time at={row.time} />
        </td>
        <th scope="row">
          <Link class="id" href={submissionPage(id)} title={id}>
            {shortId(id)}
          </Link>
          {generation > 1 && <span class="generation"> generation {generation}</span>}
          <span class="narrow-only muted">{[question, languageName].filter(Boolean).join(" · ")}</span>
        </th>
        <td class="wide-only name">{question}</td>
        <td class="wide-only">{languageName}</td>
        <td>
          <StateBadge row={row} />
        </td>
        <td class="wide-only says" title={says}>
          {says}
        </td>
        <td class="number wide-only">{durationMs === undefined ? "" : duration(durationMs)}</td>
      </tr>
    );
  }
}
