import { expect, test } from "vitest";
import type { Row } from "../api/types";
import { withChanges } from "./rows";

const row = (id: string, second: number, stage = "queued"): Row => {
  const time = `2026-01-31T12:00:${String(second).padStart(2, "0")}.000Z`;
  return { id, generation: 1, stage, time, firstTime: time, says: "" };
};
const states = (rows: Row[]) => rows.map(({ id, stage }) => `${id} ${stage}`);

test("changed row replaces the earlier state and comes first", () => {
  const known = [row("b", 2), row("a", 1)];
  expect(states(withChanges(known, [row("a", 3, "running")]))).toEqual(["a running", "b queued"]);
});

test("earlier state does not replace a later one", () => {
  expect(states(withChanges([row("a", 3, "running")], [row("a", 1)]))).toEqual(["a running"]);
});

test("generations are separate rows", () => {
  const second = { ...row("a", 2), generation: 2 };
  expect(withChanges([row("a", 1)], [second])).toHaveLength(2);
});

test("oldest rows beyond the limit are left out", () => {
  const rows = Array.from({ length: 10 }, (_, n) => row(`s${n}`, n));
  expect(states(withChanges(rows.slice(0, 5), rows.slice(5), 3))).toEqual(["s9 queued", "s8 queued", "s7 queued"]);
});
