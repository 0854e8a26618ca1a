import type { StreamSize } from "../api/types";
import { bytes, count } from "../format";
import { Column, Table } from "../ui/table";

/** From this part of its limit a stream is shown as nearly full, in percent. */
const NEARLY_FULL = 80;

/** The streams and how full they are. */
export function Storage({ streams }: { streams: StreamSize[] }) {
  if (streams.length === 0) return null;
  return (
    <section aria-labelledby="storage">
      <h2 id="storage">Streams</h2>
      <Table
        caption="Streams"
        head={
          <>
            <Column>Stream</Column>
            <Column number class="wide-only">
              Messages
            </Column>
            <Column number>Size</Column>
            <Column>Full</Column>
          </>
        }
      >
        {streams.map((stream) => (
          <tr key={stream.stream}>
            <th scope="row" class="stream">
              {stream.stream}
            </th>
            <td class="number wide-only">{count(stream.messages)}</td>
            <td class="number">{bytes(stream.bytes)}</td>
            <td>
              <Fullness stream={stream} />
            </td>
          </tr>
        ))}
      </Table>
    </section>
  );
}

function Fullness({ stream: { bytes: used, maxBytes } }: { stream: StreamSize }) {
  if (maxBytes === undefined) return <span class="muted">no limit</span>;
  const percent = Math.min(100, (used / Math.max(1, maxBytes)) * 100);
  const text = percent > 0 && percent < 1 ? "<1 %" : `${Math.floor(percent)} %`;
  return (
    <span class={`fullness ${percent >= NEARLY_FULL ? "fault" : ""}`}>
      <span class="gauge" aria-hidden="true">
        <i style={{ width: `${percent}%` }} />
      </span>
      {text}
    </span>
  );
}
