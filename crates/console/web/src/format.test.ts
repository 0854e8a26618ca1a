import { describe, expect, test } from "vitest";
import { bytes, count, duration, moment, plural, rate, shortId } from "./format";

const plain = (text: string) => text.replaceAll("\u00a0", " ");

describe("a duration", () => {
  test.each([
    [0, "0 ms"],
    [999, "999 ms"],
    [1_000, "1.0 s"],
    [9_999, "9.9 s"],
    [59_999, "59 s"],
    [60_000, "1 min"],
    [185_000, "3 min 5 s"],
    [7_800_000, "2 h 10 min"],
    [273_600_000, "3 d 4 h"],
  ])("of %d ms is %s", (ms, text) => expect(plain(duration(ms))).toBe(text));
});

test("size has a binary unit", () => {
  expect([0, 1_023, 1_024, 1_536, 200 * 1_024, 2 ** 30].map(bytes).map(plain)).toEqual([
    "0 B",
    "1023 B",
    "1.0 KiB",
    "1.5 KiB",
    "200 KiB",
    "1.0 GiB",
  ]);
});

test("count separates thousands", () => {
  expect([0, 999, 1_000, 1_234_567].map(count)).toEqual(["0", "999", "1\u202f000", "1\u202f234\u202f567"]);
});

test("rate shows a decimal below ten", () => {
  expect([0, 0.42, 9.96, 1_200].map(rate)).toEqual(["0/s", "0.4/s", "10.0/s", "1\u202f200/s"]);
});

test("plural follows the count", () => {
  expect([plural(0, "judge"), plural(1, "judge"), plural(2, "judge")]).toEqual(["0 judges", "1 judge", "2 judges"]);
});

test("moment of another day shows its date", () => {
  const now = new Date(2026, 10, 27, 12, 0, 0);
  expect(moment(new Date(2026, 10, 27, 9, 5, 1).toISOString(), now)).toBe("09:05:01");
  expect(moment(new Date(2026, 10, 26, 23, 5, 1).toISOString(), now)).toBe("26 Nov 23:05:01");
});

test("long id keeps its start and end", () => {
  expect(shortId("k97")).toBe("k97");
  expect(shortId("k97abcdefghijklmnopqrstuvwxyz")).toBe("k97abcdefg…uvwxyz");
});
