import { useEffect, useRef, useState } from "preact/hooks";
import { get, query, RequestProblem } from "../api/client";
import { useLive } from "../api/live";
import { useResource, type Resource } from "../api/use-resource";
import type { Batch, Row, Submissions } from "../api/types";
import { ConnectionNote } from "../connection";
import { count, plural } from "../format";
import { usePlace } from "../router";
import { Announcement } from "../ui/announce";
import { Button } from "../ui/button";
import { Empty, Loading, ProblemNote } from "../ui/notes";
import { FilterForm } from "./filter-form";
import { filtersOf, type Filters } from "./filters";
import { MAX_ROWS, withChanges } from "./rows";
import { SubmissionTable } from "./table";

/** Wait before the list is loaded again while the console still reads the last hour, in milliseconds. */
const INCOMPLETE_MS = 1_000;
/** How many batches the rate is measured over. */
const RECENT_BATCHES = 8;

export function SubmissionsPage() {
  const { query: address } = usePlace();
  const filters = filtersOf(address);
  const selection = query({ ...filters, limit: MAX_ROWS });
  const first = useResource<Submissions>(`/api/submissions${selection}`);
  return (
    <>
      <h1>Submissions</h1>
      <FilterForm filters={filters} />
      {/* With other filters it starts again: rows and the connection belong to one selection. */}
      <List key={selection} filters={filters} first={first} />
    </>
  );
}

function List({ filters, first }: { filters: Filters; first: Resource<Submissions> }) {
  const [changed, setChanged] = useState<Row[]>([]);
  const [paused, setPaused] = useState<{ rows: Row[]; missed: number }>();
  const [perSecond, setPerSecond] = useState(0);
  const [skipped, setSkipped] = useState(0);
  const recent = useRef<Batch[]>([]);

  const onBatch = (batch: Batch) => {
    setChanged((known) => withChanges(known, batch.rows));
    if (paused) setPaused({ ...paused, missed: paused.missed + batch.rows.length + batch.skipped });
    recent.current = [...recent.current, batch].slice(-RECENT_BATCHES);
    const sum = (value: (batch: Batch) => number) => recent.current.reduce((total, each) => total + value(each), 0);
    setSkipped(sum(({ skipped }) => skipped));
    setPerSecond(
      (sum(({ events }) => events) /
        Math.max(
          1,
          sum(({ coversMs }) => coversMs),
        )) *
        1_000,
    );
  };
  const { data, reload } = first;
  useEffect(() => {
    if (data?.complete !== false) return;
    const timer = setTimeout(reload, INCOMPLETE_MS);
    return () => clearTimeout(timer);
  }, [data, reload]);
  const { since: _, ...liveFilters } = filters;
  const live = useLive(query({ ...liveFilters, submissions: true }), { submissions: onBatch, reload: first.reload });
  const present = withChanges(first.data?.rows ?? [], changed);
  const rows = paused?.rows ?? present;

  return (
    <>
      <ConnectionNote live={live} />
      {first.problem && first.problem.status !== 503 && <ProblemNote problem={first.problem} />}
      <div class="list-bar">
        <p>
          {paused ? `Paused; ${plural(paused.missed, "change")} since` : liveText(perSecond, first.data)}
          {skipped > 0 && !paused && <span class="muted"> Only the latest {MAX_ROWS} submissions are shown.</span>}
        </p>
        <Announcement
          text={paused ? "The list is paused" : rows.length === 0 ? "No submissions" : "The list is live"}
        />
        <Button
          aria-pressed={paused !== undefined}
          onClick={() => setPaused(paused ? undefined : { rows: present, missed: 0 })}
        >
          {paused ? "Continue" : "Pause"}
        </Button>
      </div>
      {first.data === undefined && first.problem === undefined && <Loading />}
      {first.data && rows.length === 0 && <Empty>{emptyText(filters)}</Empty>}
      {rows.length > 0 && <SubmissionTable rows={rows} />}
      {first.data?.next !== undefined && rows.length > 0 && <Older filters={filters} start={first.data} />}
    </>
  );
}

function liveText(perSecond: number, data: Submissions | undefined): string {
  if (data?.complete === false) return "The last hour is still being read.";
  if (perSecond < 0.05) return "New submissions appear here.";
  return `${perSecond < 10 ? perSecond.toFixed(1) : count(perSecond)} events per second.`;
}

function emptyText(filters: Filters): string {
  const range = filters.since === undefined ? "in the last hour" : "in this time";
  return Object.keys(filters).length > 0
    ? `No submission ${range} matches the filters.`
    : `No submission ${range}. "gavel submit" posts one.`;
}

/** Loads older rows below the live ones, page by page. */
function Older({ filters, start }: { filters: Filters; start: Submissions }) {
  const [pages, setPages] = useState<Row[]>([]);
  const [last, setLast] = useState(start);
  const [isBusy, setIsBusy] = useState(false);
  const [problem, setProblem] = useState<RequestProblem>();
  const load = async () => {
    setIsBusy(true);
    try {
      const place = last.nextIs === "since" ? { since: last.next } : { before: last.next };
      const page = await get<Submissions>(`/api/submissions${query({ ...filters, limit: MAX_ROWS, ...place })}`);
      setPages((known) => withChanges(known, page.rows, Infinity));
      setLast(page);
      setProblem(undefined);
    } catch (error) {
      if (!(error instanceof RequestProblem)) throw error;
      setProblem(error);
    } finally {
      setIsBusy(false);
    }
  };
  return (
    <>
      {pages.length > 0 && (
        <>
          <h2>More</h2>
          <SubmissionTable rows={pages} caption="More submissions" />
        </>
      )}
      {problem && <ProblemNote problem={problem} />}
      {last.next !== undefined && (
        <p class="more">
          <Button onClick={() => void load()} disabled={isBusy}>
            Load more
          </Button>
        </p>
      )}
    </>
  );
}
