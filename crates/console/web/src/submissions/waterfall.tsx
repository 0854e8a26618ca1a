import type { Generation, Span } from "../api/types";
import { duration, timeOfDay } from "../format";
import { Column, Table } from "../ui/table";

/** The narrowest bar, in percent: a short span must be visible. */
const MIN_WIDTH = 0.5;

/** The events of a generation, each with the time that follows it. */
export function Waterfall({ generation: { generation, events, spans, totalMs } }: { generation: Generation }) {
  const shown = new Set<string>();
  // A span belongs to the first event of its stage.
  const spanAfter = (stage: string): Span | undefined => {
    if (shown.has(stage)) return undefined;
    shown.add(stage);
    return spans.find((span) => span.after === stage);
  };
  const known = new Set(events.map(({ stage }) => stage));
  // Later events say when it was ready; the event itself is deleted by then.
  const others = spans.filter(({ after }) => !known.has(after));
  const start = Date.parse(events[0]?.time ?? "");
  const marks = [
    ...events.map((event) => ({
      time: Date.parse(event.time),
      stage: event.stage,
      says: event.says,
      key: event.subject + event.time,
    })),
    ...others.map((span) => ({ time: start + span.fromMs, stage: span.after, says: "", key: span.after })),
  ].sort((a, b) => a.time - b.time);
  return (
    <Table
      caption={`Timeline of generation ${generation}`}
      class="waterfall"
      head={
        <>
          <Column>Time</Column>
          <Column>Event</Column>
          <Column class="wide-only">Until the next event</Column>
          <Column number>Then</Column>
          <Column class="details">Details</Column>
        </>
      }
    >
      {marks.map(({ time, stage, says, key }) => {
        const span = spanAfter(stage);
        return (
          <tr key={key}>
            <td class="when">{timeOfDay(new Date(time), true)}</td>
            <th scope="row">{stage}</th>
            <td class="wide-only bar-cell">{span && <Bar span={span} totalMs={totalMs} />}</td>
            <td class="number">{span && duration(span.ms)}</td>
            <td class="details">
              {says !== "" && <span>{says}</span>}
              {span && span.what !== "" && <span class="muted">{span.what}</span>}
            </td>
          </tr>
        );
      })}
    </Table>
  );
}

function Bar({ span, totalMs }: { span: Span; totalMs: number }) {
  const total = Math.max(1, totalMs);
  const width = Math.max(MIN_WIDTH, Math.min(100, (span.ms / total) * 100));
  const left = Math.min(100 - width, (span.fromMs / total) * 100);
  return (
    <span class="track" aria-hidden="true">
      <i class={span.isWork ? "work" : "wait"} style={{ left: `${left}%`, width: `${width}%` }} />
    </span>
  );
}
