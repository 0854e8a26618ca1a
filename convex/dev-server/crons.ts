import type { Crons } from "convex/server";
import { jsonToConvex, type JSONValue } from "convex/values";
import type { Deployment } from "./deployment";
import type { ModuleMap } from "./modules";
import type { Scope } from "./scope";

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const DAYS = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];

type Schedule = Crons["crons"][string]["schedule"];

/**
 * Runs the cron jobs of the app and its components, which convex-test does not. As on Convex, interval jobs run for
 * the first time at once. Jobs on a monthly or crontab schedule do not run.
 */
export async function startCrons(deployment: Deployment, scope: Scope): Promise<void> {
  for (const [component, modules] of deployment.modules) {
    for (const [name, job] of Object.entries((await cronsOf(modules))?.crons ?? {})) {
      const run = async () => {
        await deployment
          .run(job.name, jsonToConvex((job.args as JSONValue[])[0] ?? {}), component)
          .catch((error: unknown) => {
            console.error(`The cron job "${name}" failed:`, error);
          });
        plan();
      };
      const plan = () => {
        const delay = delayUntilNext(job.schedule, Date.now());
        if (delay !== null) setTimeout(() => void run(), delay);
      };
      scope.run(() => (job.schedule.type === "interval" ? void run() : plan()));
    }
  }
}

async function cronsOf(modules: ModuleMap): Promise<Crons | undefined> {
  const file = Object.keys(modules).find((candidate) => /\/crons\.[jt]s$/.test(candidate));
  return file === undefined ? undefined : ((await modules[file]?.())?.default as Crons | undefined);
}

/** Returns the milliseconds until a job's next run, or `null` for schedules that this mock does not support. */
export function delayUntilNext(schedule: Schedule, now: number): number | null {
  switch (schedule.type) {
    case "interval":
      if ("seconds" in schedule) return schedule.seconds * SECOND;
      return "minutes" in schedule ? schedule.minutes * MINUTE : schedule.hours * HOUR;
    case "hourly":
      return untilOffset(now, HOUR, (schedule.minuteUTC ?? 0) * MINUTE);
    case "daily":
      return untilOffset(now, DAY, schedule.hourUTC * HOUR + (schedule.minuteUTC ?? 0) * MINUTE);
    case "weekly": {
      // 1970-01-01 was a Thursday.
      const day = (DAYS.indexOf(schedule.dayOfWeek) - 4 + 7) % 7;
      return untilOffset(now, 7 * DAY, day * DAY + schedule.hourUTC * HOUR + (schedule.minuteUTC ?? 0) * MINUTE);
    }
    default:
      return null;
  }
}

/** Returns the time until the next moment that lies `offset` after the beginning of a period; never 0. */
function untilOffset(now: number, period: number, offset: number): number {
  return period - ((now - offset) % period);
}
