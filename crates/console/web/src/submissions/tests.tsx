import type { EventInfo } from "../api/types";
import { bytes, micros } from "../format";
import { Badge } from "../ui/badge";
import { Column, Table } from "../ui/table";

/** How each test ended and what it used. Inputs and outputs are not part of it. */
export function Tests({ judged: { tests = [], generation, passed, status } }: { judged: EventInfo }) {
  const slowest = Math.max(1, ...tests.map(({ wallUs }) => wallUs));
  return (
    <section>
      <h3>Tests</h3>
      <Table
        caption={`Tests of generation ${generation}`}
        class="tests"
        head={
          <>
            <Column number>Test</Column>
            <Column>Result</Column>
            <Column>Ended with</Column>
            <Column number>CPU</Column>
            <Column number>Wall</Column>
            <Column class="wide-only">Wall time</Column>
            <Column number>Memory</Column>
          </>
        }
      >
        {tests.map(({ ending, cpuUs, wallUs, memoryBytes }, at) => (
          <tr key={at}>
            <th scope="row" class="number">
              {at + 1}
            </th>
            <td>{resultOf(at, passed, status)}</td>
            <td>{ending}</td>
            <td class="number">{micros(cpuUs)}</td>
            <td class="number">{micros(wallUs)}</td>
            <td class="wide-only bar-cell">
              <span class="track" aria-hidden="true">
                <i class="work" style={{ left: "0", width: `${(wallUs / slowest) * 100}%` }} />
              </span>
            </td>
            <td class="number">{bytes(memoryBytes)}</td>
          </tr>
        ))}
      </Table>
    </section>
  );
}

/** Tests run in order, and the first failure ends the submission. */
function resultOf(at: number, passed: number | undefined, status: string | undefined) {
  if (passed === undefined) return "–";
  if (at < passed) return <Badge tone="good">passed</Badge>;
  return status === "failed" && at === passed ? <Badge tone="learner">failed</Badge> : "–";
}
