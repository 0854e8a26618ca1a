// Times, durations and sizes as text.

/** Keeps a number and its unit on one line. */
const NBSP = "\u00a0";

/** A duration: `812 ms`, `4.2 s`, `3 min 5 s`, `2 h 10 min`, `3 d 4 h`. */
export function duration(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)}${NBSP}ms`;
  if (ms < 10_000) return `${(Math.floor(ms / 100) / 10).toFixed(1)}${NBSP}s`;
  const seconds = Math.floor(ms / 1_000);
  if (seconds < 60) return `${seconds}${NBSP}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return parts(minutes, "min", seconds % 60, "s");
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return parts(hours, "h", minutes % 60, "min");
  return parts(Math.floor(hours / 24), "d", hours % 24, "h");
}

function parts(large: number, unit: string, small: number, smallUnit: string): string {
  const first = `${large}${NBSP}${unit}`;
  return small === 0 ? first : `${first}${NBSP}${small}${NBSP}${smallUnit}`;
}

/** A number of microseconds in milliseconds: `12.3 ms`. */
export function micros(us: number): string {
  return us < 10_000_000 ? `${(us / 1_000).toFixed(1)}${NBSP}ms` : duration(us / 1_000);
}

/** A size: `812 B`, `4.2 KiB`, `1.0 GiB`. */
export function bytes(count: number): string {
  if (count < 1_024) return `${count}${NBSP}B`;
  const units = ["KiB", "MiB", "GiB", "TiB"];
  let value = count;
  let unit = "B";
  for (const next of units) {
    if (value < 1_024) break;
    value /= 1_024;
    unit = next;
  }
  return `${value.toFixed(value < 100 ? 1 : 0)}${NBSP}${unit}`;
}

/** A count with a thin space between thousands. */
export function count(value: number): string {
  return String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, "\u202f");
}

/** A rate per second: `0.4/s`, `12/s`. */
export function rate(perSecond: number): string {
  if (perSecond === 0) return "0/s";
  return perSecond < 10 ? `${perSecond.toFixed(1)}/s` : `${count(perSecond)}/s`;
}

/** `1 submission`, `2 submissions`. */
export function plural(value: number, noun: string): string {
  return `${count(value)} ${noun}${value === 1 ? "" : "s"}`;
}

const pad = (value: number, width = 2) => String(value).padStart(width, "0");

/** The time of day in the reader's time zone: `14:03:21`, or with milliseconds. */
export function timeOfDay(time: string | Date, withMillis = false): string {
  const at = new Date(time);
  const text = `${pad(at.getHours())}:${pad(at.getMinutes())}:${pad(at.getSeconds())}`;
  return withMillis ? `${text}.${pad(at.getMilliseconds(), 3)}` : text;
}

/** The hour and minute in the reader's time zone. */
export function hourMinute(time: string | Date): string {
  return timeOfDay(time).slice(0, 5);
}

/** The time of day if it is of the same day as `now`, otherwise with its date: `26 Nov 14:03:21`. */
export function moment(time: string, now = new Date()): string {
  const at = new Date(time);
  if (at.toDateString() === now.toDateString()) return timeOfDay(at);
  const month = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"][at.getMonth()];
  return `${at.getDate()} ${month} ${timeOfDay(at)}`;
}

/** The start, ellipsis and end of a long id. */
export function shortId(id: string, length = 18): string {
  return id.length <= length ? id : `${id.slice(0, length - 8)}…${id.slice(-6)}`;
}
