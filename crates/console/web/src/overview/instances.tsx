import type { Instance, Overview, RunningSubmission } from "../api/types";
import { duration, shortId } from "../format";
import { Link, submissionPage } from "../router";
import { Empty } from "../ui/notes";
import { Column, Table } from "../ui/table";

/** How many running submissions an instance lists. */
const MAX_LISTED = 8;

/** The judges with their slots and what they run. */
export function Judges({ overview }: { overview: Overview }) {
  const now = Date.parse(overview.at ?? "");
  const judges = overview.instances.filter(({ service }) => service === "judge");
  return (
    <section aria-labelledby="judges">
      <h2 id="judges">Judges</h2>
      {judges.length === 0 ? (
        <Empty>No judge sends heartbeats.</Empty>
      ) : (
        <Table
          caption="Judges"
          head={
            <>
              <Column>Instance</Column>
              <Column>Slots</Column>
              <Column>Running</Column>
              <Column class="wide-only">Languages</Column>
              <Column number class="wide-only">
                Up
              </Column>
            </>
          }
        >
          {judges.map((judge) => (
            <tr key={judge.instance}>
              <InstanceName instance={judge} />
              <td>
                <Slots slots={judge.slots} busy={judge.busy} />
              </td>
              <td>
                <Running running={judge.running ?? []} now={now} />
              </td>
              <td class="wide-only">
                {judge.languages} by {judge.engines.join(", ")}
              </td>
              <td class="number wide-only">{duration(judge.upMs)}</td>
            </tr>
          ))}
        </Table>
      )}
    </section>
  );
}

/** The other services. */
export function Services({ overview }: { overview: Overview }) {
  const others = overview.instances.filter(({ service }) => service !== "judge");
  return (
    <section aria-labelledby="services">
      <h2 id="services">Other services</h2>
      {others.length === 0 ? (
        <Empty>No other service sends heartbeats.</Empty>
      ) : (
        <Table
          caption="Other services"
          head={
            <>
              <Column>Instance</Column>
              <Column>Service</Column>
              <Column number>Up</Column>
              <Column number class="wide-only">
                Last heartbeat
              </Column>
            </>
          }
        >
          {others.map((instance) => (
            <tr key={instance.instance}>
              <InstanceName instance={instance} />
              <td>{instance.service}</td>
              <td class="number">{duration(instance.upMs)}</td>
              <td class="number wide-only">{duration(instance.heardMs)} ago</td>
            </tr>
          ))}
        </Table>
      )}
    </section>
  );
}

function InstanceName({ instance: { instance, version, problems = [] } }: { instance: Instance }) {
  return (
    <th scope="row">
      <span class="name">{instance}</span> <span class="version">{version}</span>
      {problems.map((problem) => (
        <span key={problem} class="instance-problem">
          {problem}
        </span>
      ))}
    </th>
  );
}

/** The most slots that are drawn one by one. */
const MAX_DRAWN = 32;

function Slots({ slots, busy }: { slots: number; busy: number }) {
  return (
    <span class="slots">
      {slots <= MAX_DRAWN && (
        <span class="slot-row" aria-hidden="true">
          {Array.from({ length: slots }, (_, n) => (
            <i key={n} class={n < busy ? "busy" : ""} />
          ))}
        </span>
      )}
      <span class="slot-count">
        {busy} of {slots} busy
      </span>
    </span>
  );
}

function Running({ running, now }: { running: RunningSubmission[]; now: number }) {
  if (running.length === 0) return <span class="muted">–</span>;
  return (
    <ul class="running">
      {running.slice(0, MAX_LISTED).map(({ id, generation, languageName, since }) => (
        <li key={`${id}.${generation}`}>
          <Link class="id" href={submissionPage(id)} title={id}>
            {shortId(id)}
          </Link>{" "}
          <span class="muted">
            {languageName} {duration(Math.max(0, now - Date.parse(since)))}
          </span>
        </li>
      ))}
      {running.length > MAX_LISTED && (
        <li>
          <Link href="/submissions?stage=running">{running.length - MAX_LISTED} more</Link>
        </li>
      )}
    </ul>
  );
}
