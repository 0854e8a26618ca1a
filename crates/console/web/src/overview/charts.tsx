import type { Minute } from "../api/types";
import { count, duration, hourMinute } from "../format";
import { Chart, type Series } from "./chart";

interface ChartsProps {
  minutes: Minute[];
  /** Whether the last hour is read completely. */
  isComplete: boolean;
}

const VERDICTS: Series[] = [
  { name: "Passed", tone: "good", value: (minute) => minute.passed },
  { name: "Failed", tone: "learner", value: (minute) => minute.failed },
  { name: "Error", tone: "fault", value: (minute) => minute.error },
];
const WAITING: Series[] = [
  { name: "p95", tone: "second", value: (minute) => minute.waitingP95 },
  { name: "p50", tone: "first", value: (minute) => minute.waitingP50 },
];
const JUDGING: Series[] = [
  { name: "p95", tone: "second", value: (minute) => minute.judgingP95 },
  { name: "p50", tone: "first", value: (minute) => minute.judgingP50 },
];

/** The last hour, minute by minute. */
export function Charts({ minutes, isComplete }: ChartsProps) {
  return (
    <section aria-labelledby="charts">
      <h2 id="charts">The last hour{isComplete ? "" : " (still being read)"}</h2>
      <div class="charts">
        <Chart
          title="Verdicts per minute"
          minutes={minutes}
          series={VERDICTS}
          kind="stacked"
          format={count}
          summary={verdictSummary(minutes)}
        />
        <Chart
          title="Waiting for a judge"
          minutes={minutes}
          series={WAITING}
          kind="lines"
          format={duration}
          summary={timeSummary(minutes, "waitingP50", "waitingP95")}
        />
        <Chart
          title="Judging"
          minutes={minutes}
          series={JUDGING}
          kind="lines"
          format={duration}
          summary={timeSummary(minutes, "judgingP50", "judgingP95")}
        />
      </div>
    </section>
  );
}

function verdictSummary(minutes: Minute[]): string {
  const sum = (value: (minute: Minute) => number) => count(minutes.reduce((total, each) => total + value(each), 0));
  return `${sum((m) => m.passed)} passed, ${sum((m) => m.failed)} failed, ${sum((m) => m.error)} errors`;
}

function timeSummary(minutes: Minute[], p50: "waitingP50" | "judgingP50", p95: "waitingP95" | "judgingP95"): string {
  const latest = minutes.findLast((minute) => minute[p50] !== null);
  if (latest === undefined) return "no verdict in the last hour";
  return `at ${hourMinute(latest.at)}: p50 ${duration(latest[p50] ?? 0)}, p95 ${duration(latest[p95] ?? 0)}`;
}
