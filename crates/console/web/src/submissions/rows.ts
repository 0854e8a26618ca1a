import type { Row } from "../api/types";

/** The most rows that the list shows; older ones are loaded on request. */
export const MAX_ROWS = 100;

export const keyOf = ({ id, generation }: Pick<Row, "id" | "generation">) => `${id}.${generation}`;

/** The known rows with the changed ones, each in its latest state, the last changed first; at most `limit`. */
export function withChanges(known: Row[], changed: Row[], limit = MAX_ROWS): Row[] {
  const byKey = new Map(known.map((row) => [keyOf(row), row]));
  for (const row of changed) {
    const before = byKey.get(keyOf(row));
    if (before === undefined || before.time <= row.time) byKey.set(keyOf(row), row);
  }
  return [...byKey.values()].sort(lastChangedFirst).slice(0, limit);
}

function lastChangedFirst(a: Row, b: Row): number {
  if (a.time !== b.time) return a.time < b.time ? 1 : -1;
  return keyOf(a) < keyOf(b) ? 1 : -1;
}
