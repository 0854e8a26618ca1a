import type { Minute, Overview } from "../api/types";
import { count, duration, plural, rate } from "../format";
import { stations, type Health, type Queue, type Station } from "./stations";

/** The services and the queues between them, as a submission passes through them. */
export function Pipeline({ overview, minutes }: { overview: Overview; minutes: Minute[] }) {
  const waiting = overview.waitingLanguages;
  return (
    <section aria-labelledby="pipeline">
      <h2 id="pipeline">Pipeline</h2>
      <ol class="pipeline">
        {stations(overview, minutes).map((station) => (
          <li key={station.service}>
            {station.queue && <QueueView queue={station.queue} />}
            <StationView station={station} />
          </li>
        ))}
      </ol>
      {waiting.length > 0 && (
        <ul class="waiting-languages">
          {waiting.map(({ language, name, submissions, oldestMs, servedBy }) => (
            <li key={language}>
              {plural(submissions, "submission")} in {name} {submissions === 1 ? "waits" : "wait"} for a judge that
              serves it, the oldest for {duration(oldestMs)}.{" "}
              {servedBy.length === 0 ? "No judge serves it." : `Served by ${servedBy.join(", ")}.`}
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}

function QueueView({ queue }: { queue: Queue }) {
  const isEmpty = queue.waiting === 0;
  return (
    <div class={`queue ${isEmpty ? "empty-queue" : ""}`}>
      <span class="queue-holds">{queue.holds}</span>
      <span class="queue-arrow" aria-hidden="true" />
      <span class="queue-count">
        <b>{count(queue.waiting)}</b> waiting
      </span>
      <span class="queue-oldest">
        {queue.oldestMs === undefined || isEmpty ? "" : `oldest ${duration(queue.oldestMs)}`}
      </span>
    </div>
  );
}

function StationView({ station }: { station: Station }) {
  const { service, does, instances, queue, peers } = station;
  const slots = instances.reduce((total, each) => total + each.slots, 0);
  const busy = instances.reduce((total, each) => total + each.busy, 0);
  const isFaulty = instances.length === 0 || instances.some(({ problems = [] }) => problems.length > 0);
  return (
    <div class={`station ${isFaulty ? "fault" : ""}`}>
      <h3>{service}</h3>
      <p class="station-does">{does}</p>
      <dl>
        {queue && <Fact name="In progress" value={count(queue.inProgress)} />}
        {queue?.oldestMs !== undefined && queue.waiting === 0 && (
          <Fact name="Oldest" value={duration(queue.oldestMs)} />
        )}
        <Fact name="Rate" value={rate(station.rate)} />
        {service === "judge" && slots > 0 && <Fact name="Busy slots" value={`${busy} of ${slots}`} />}
        <Fact name="Instances" value={instances.length === 0 ? "none" : String(instances.length)} />
      </dl>
      {peers.length > 0 && (
        <ul class="peers">
          {peers.map((health) => (
            <PeerView key={health.name} health={health} />
          ))}
        </ul>
      )}
    </div>
  );
}

function Fact({ name, value }: { name: string; value: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}

function PeerView({ health }: { health: Health }) {
  const { name, problem, seenBy } = health;
  return (
    <li class={problem === undefined ? "good" : "fault"} title={`As ${seenBy.join(", ")} sees it`}>
      {problem?.startsWith(name) ? problem : `${name}: ${problem ?? "reachable"}`}
    </li>
  );
}
