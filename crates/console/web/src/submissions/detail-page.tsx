import { useEffect, useRef } from "preact/hooks";
import { query } from "../api/client";
import { useLive } from "../api/live";
import { useResource } from "../api/use-resource";
import type { Generation, Submission } from "../api/types";
import { ConnectionNote } from "../connection";
import { Link } from "../router";
import { Announcement } from "../ui/announce";
import { Badge, StateBadge } from "../ui/badge";
import { CopyButton } from "../ui/button";
import { Commands } from "../ui/command";
import { Loading, ProblemNote, sentence } from "../ui/notes";
import { Time } from "../ui/time";
import { Callbacks } from "./callbacks";
import { SourcePanel } from "./source";
import { Tests } from "./tests";
import { Waterfall } from "./waterfall";

/** Least time between two loads while the submission changes, in milliseconds. */
const RELOAD_MS = 500;

export function SubmissionPage({ id }: { id: string }) {
  const submission = useResource<Submission>(`/api/submissions/${encodeURIComponent(id)}`);
  const { data, problem, reload } = submission;
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  useEffect(() => () => clearTimeout(timer.current), []);
  const reloadSoon = () => {
    clearTimeout(timer.current);
    timer.current = setTimeout(reload, RELOAD_MS);
  };
  const live = useLive(query({ submissions: true, id }), { submissions: reloadSoon, reload });
  const generations = data?.generations.toReversed() ?? [];
  const latest = generations[0];
  return (
    <>
      <ConnectionNote live={live} />
      <p class="breadcrumb">
        <Link href="/submissions">Submissions</Link>
      </p>
      <div class="id-title">
        <h1 class="id">{id}</h1> <CopyButton text={id} what="the submission id" />
        <Link class="button plain" href={`/rejudge${query({ id })}`}>
          Rejudge…
        </Link>
      </div>
      {problem && problem.status !== 503 && <ProblemNote problem={problem} />}
      {!data && !problem && <Loading />}
      {data && latest && (
        <>
          <Announcement text={latest.conclusion} />
          <Facts generation={latest} />
          {generations.map((generation, at) => (
            <GenerationView key={generation.generation} generation={generation} isLatest={at === 0} />
          ))}
          <DeadLettersOf submission={data} />
          <SourcePanel id={id} />
          <section aria-labelledby="commands">
            <h2 id="commands">In a terminal</h2>
            <Commands commands={data.commands} />
          </section>
        </>
      )}
    </>
  );
}

function Facts({ generation: { events } }: { generation: Generation }) {
  const last = events.at(-1);
  const known = events.find(({ question }) => question !== undefined);
  const verdict = events.findLast(({ status }) => status !== undefined);
  const request = events.find(({ requestId }) => requestId !== undefined)?.requestId;
  const first = events[0];
  return (
    <dl class="facts">
      <div>
        <dt>State</dt>
        <dd>
          {last && (
            <StateBadge row={{ stage: last.stage, ...(verdict?.status && { status: statusOf(verdict.status) }) }} />
          )}
        </dd>
      </div>
      <Fact name="Question" value={known?.question} />
      <Fact name="Language" value={known?.languageName ?? languageId(known?.language)} />
      <Fact name="Toolchain" value={verdict?.toolchain} />
      <Fact name="Kind" value={known?.kind} />
      <Fact name="Request" value={request} isId />
      {first && (
        <div>
          <dt>Queued</dt>
          <dd>
            <Time at={first.time} />
          </dd>
        </div>
      )}
    </dl>
  );
}

function statusOf(status: string): "passed" | "failed" | "error" {
  return status === "passed" || status === "failed" ? status : "error";
}

function languageId(id: number | undefined): string | undefined {
  return id === undefined ? undefined : `id ${id}`;
}

function Fact({ name, value, isId = false }: { name: string; value: string | undefined; isId?: boolean }) {
  if (value === undefined) return null;
  return (
    <div>
      <dt>{name}</dt>
      <dd class={isId ? "id" : ""}>{value}</dd>
    </div>
  );
}

function GenerationView({ generation, isLatest }: { generation: Generation; isLatest: boolean }) {
  const judged = generation.events.findLast(({ tests = [] }) => tests.length > 0);
  return (
    <details class="generation-view" open={isLatest}>
      <summary>
        <h2>Generation {generation.generation}</h2>
        {!generation.ended && isLatest && <Badge tone="busy">not ended</Badge>}
      </summary>
      <p class="conclusion">{sentence(generation.conclusion)}</p>
      <Waterfall generation={generation} />
      {judged && <Tests judged={judged} />}
      <Callbacks callbacks={generation.callbacks ?? []} generation={generation.generation} />
    </details>
  );
}

function DeadLettersOf({ submission: { deadLetters } }: { submission: Submission }) {
  if (deadLetters.length === 0) return null;
  return (
    <section aria-labelledby="dead">
      <h2 id="dead">Dead letters</h2>
      <ul class="problems">
        {deadLetters.map(({ sequence, stage, cause, attempts, diedAt, generation }) => (
          <li key={sequence} class="problem">
            <p>
              <strong>
                Generation {generation} failed permanently at the {stage}
              </strong>
              , <Time at={diedAt} />, after {attempts} attempts: {cause}
            </p>
            <p>
              <Link href="/dead-letters">Retry or drop it on the page of dead letters</Link>
            </p>
          </li>
        ))}
      </ul>
    </section>
  );
}
