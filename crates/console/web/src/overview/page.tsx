import { useCallback, useState } from "preact/hooks";
import { useLive } from "../api/live";
import { useResource } from "../api/use-resource";
import type { History, Minute, Overview } from "../api/types";
import { ConnectionNote } from "../connection";
import { plural } from "../format";
import { Link } from "../router";
import { Announcement } from "../ui/announce";
import { Loading, ProblemNote, sentence } from "../ui/notes";
import { Charts } from "./charts";
import { Judges, Services } from "./instances";
import { Pipeline } from "./pipeline";
import { Storage } from "./storage";
import { summary } from "./summary";

export function OverviewPage() {
  const [overview, setOverview] = useState<Overview>();
  const history = useResource<History>("/api/history");
  const [changed, setChanged] = useState<Minute[]>([]);
  const { reload } = history;
  // Minutes that the console was still reading when the history was loaded.
  const isIncomplete = history.data?.complete === false;
  const onMinute = useCallback(
    (minutes: Minute[]) => {
      setChanged((known) => merged(known, minutes));
      if (isIncomplete) reload();
    },
    [isIncomplete, reload],
  );
  const live = useLive("?overview=true", { overview: setOverview, minute: onMinute, reload });
  const minutes = merged(history.data?.minutes ?? [], changed);

  return (
    <>
      {/* The problems of the overview include NATS. */}
      <ConnectionNote live={live} hasNatsNote={overview?.connected !== false} />
      {overview?.at === undefined ? (
        <>
          <h1>Overview</h1>
          <Loading />
        </>
      ) : (
        <>
          <Health overview={overview} minutes={minutes} />
          <Pipeline overview={overview} minutes={minutes} />
        </>
      )}
      {history.problem && history.problem.status !== 503 && <ProblemNote problem={history.problem} />}
      {minutes.length > 0 && <Charts minutes={minutes} isComplete={history.data?.complete === true} />}
      {overview?.at !== undefined && (
        <>
          <Judges overview={overview} />
          <div class="two-columns">
            <Services overview={overview} />
            <Storage streams={overview.streams} />
          </div>
        </>
      )}
    </>
  );
}

/** The last 60 of the known minutes, each in its latest state. */
export function merged(known: Minute[], changed: Minute[]): Minute[] {
  const byTime = new Map(known.map((minute) => [minute.at, minute]));
  for (const minute of changed) byTime.set(minute.at, minute);
  return [...byTime.values()].sort((a, b) => (a.at < b.at ? -1 : 1)).slice(-60);
}

/** Whether all is well, in a sentence; otherwise what is wrong and what to do. */
function Health({ overview, minutes }: { overview: Overview; minutes: Minute[] }) {
  const problems = overview.problems.filter(({ severity }) => severity === "problem");
  const notices = overview.problems.filter(({ severity }) => severity === "notice");
  const title = problems.length === 0 ? "All is well" : plural(problems.length, "problem");
  const first = problems[0];
  return (
    <section class={`health ${problems.length === 0 ? "good" : "fault"}`} aria-labelledby="health">
      <h1 id="health">{title}</h1>
      <Announcement text={first ? `${title}: ${first.name}: ${first.what}` : title} />
      {problems.length === 0 && <p class="lead">{summary(overview, minutes)}</p>}
      {overview.problems.length > 0 && (
        <ul class="problems">
          {[...problems, ...notices].map(({ severity, name, what, remedy, link }) => (
            <li key={`${name} ${what}`} class={severity}>
              <p>
                <strong>{name}</strong>: {sentenceEnd(what)}
              </p>
              {remedy !== undefined && <p class="remedy">{sentence(remedy)}</p>}
              {link !== undefined && (
                <p>
                  <Link href={link} aria-label={`Show: ${name}`}>
                    Show
                  </Link>
                </p>
              )}
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}

function sentenceEnd(text: string): string {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}
