import type { Callback } from "../api/types";
import { duration } from "../format";
import { Column, Table } from "../ui/table";

/** The calls to Convex, as far as they are known. */
export function Callbacks({ callbacks, generation }: { callbacks: Callback[]; generation: number }) {
  if (callbacks.length === 0) return null;
  return (
    <section>
      <h3>Callbacks</h3>
      <Table
        caption={`Callbacks of generation ${generation}`}
        head={
          <>
            <Column>Callback</Column>
            <Column number>After</Column>
            <Column number>Took</Column>
            <Column>Answer</Column>
            <Column class="wide-only">Instance</Column>
          </>
        }
      >
        {callbacks.map(({ call, begunMs, tookMs, status, answer, instance }, at) => (
          <tr key={at}>
            <th scope="row">{call}</th>
            <td class="number">{begunMs === undefined ? "–" : duration(begunMs)}</td>
            <td class="number">{tookMs === undefined ? "–" : duration(tookMs)}</td>
            <td class={status !== undefined && status >= 400 ? "fault-text" : ""}>{answer}</td>
            <td class="wide-only name">{instance}</td>
          </tr>
        ))}
      </Table>
    </section>
  );
}
