import { diffArrays } from "diff";
import { type CutText, parseCutText } from "./cutText.js";
import { cropLine, diffLinePair, type LineView } from "./diffLine.js";

/**
 * A row of the comparison: lines that belong together, or a number of lines that are left out.
 *
 * - `same`: equal lines. `changed`: different lines.
 * - `missing`: only in the expected output. `extra`: only in the actual output.
 * - `unknown`: the other output is cut off before this line.
 * - `fold`: `count` equal lines that are not shown.
 */
export type Row =
  | { kind: "same" | "changed"; expected: LineView; actual: LineView }
  | { kind: "missing"; expected: LineView }
  | { kind: "extra"; actual: LineView }
  | { kind: "unknown"; expected?: LineView; actual?: LineView }
  | { kind: "fold"; count: number };

/** The comparison of two outputs, from shortly before the first difference on. */
export type Comparison = {
  expected: CutText;
  actual: CutText;
  rows: Row[];
  /** Whether there are more lines than `rows` shows. */
  hasMore: boolean;
};

// Limits that keep the work and the page small for outputs of 64 KiB, whatever they contain.
/** Lines of each output that are compared, counted from the first difference. */
const MAX_LINES = 300;
/** Edit distance at which lines are compared by their number instead. */
const MAX_EDITS = 200;
/** Rows that are shown. */
const MAX_ROWS = 80;
/** Equal lines that are shown around a difference. */
const CONTEXT = 3;

/** Compares two outputs line by line. Both may end with Gavel's marker of cut texts. */
export function compareOutputs(expectedField: string, actualField: string): Comparison {
  const expected = parseCutText(expectedField);
  const actual = parseCutText(actualField);
  const expectedLines = splitLines(expected.text);
  const actualLines = splitLines(actual.text);
  const equal = countEqual(expectedLines, actualLines);
  const start = Math.max(0, equal - CONTEXT);
  const [left, right] = [window(expectedLines, start), window(actualLines, start)];
  const isWindow = start + MAX_LINES < Math.max(expectedLines.length, actualLines.length);
  const aligned = alignLines(left, right, start);
  const rows = foldEqual(markUnknown(isWindow ? dropEdge(aligned) : aligned, expected, actual));
  if (start > 0) rows.unshift({ kind: "fold", count: start });
  return { expected, actual, rows: rows.slice(0, MAX_ROWS), hasMore: isWindow || rows.length > MAX_ROWS };
}

/** Splits a text into lines, each with its line end. */
export function splitLines(text: string): string[] {
  return text.match(/[^\n]*\n|[^\n]+$/g) ?? [];
}

function countEqual(expected: string[], actual: string[]): number {
  const length = Math.min(expected.length, actual.length);
  let count = 0;
  while (count < length && expected[count] === actual[count]) count++;
  return count;
}

function window(lines: string[], start: number): string[] {
  return lines.slice(start, start + MAX_LINES);
}

function alignLines(expected: string[], actual: string[], start: number): Row[] {
  const changes = diffArrays(expected, actual, { maxEditLength: MAX_EDITS });
  if (changes === undefined) return pairLines(expected, actual, start, start);
  const rows: Row[] = [];
  let [expectedAt, actualAt] = [start, start];
  let removed: string[] = [];
  const flush = (added: string[]) => {
    rows.push(...pairLines(removed, added, expectedAt, actualAt));
    expectedAt += removed.length;
    actualAt += added.length;
    removed = [];
  };
  for (const change of changes) {
    if (change.removed) {
      removed = change.value;
    } else if (change.added) {
      flush(change.value);
    } else {
      flush([]);
      rows.push(...pairLines(change.value, change.value, expectedAt, actualAt));
      expectedAt += change.value.length;
      actualAt += change.value.length;
    }
  }
  flush([]);
  return rows;
}

/** Puts the lines of two blocks side by side. The arguments `…At` are the positions of their first lines, from 0. */
function pairLines(expected: string[], actual: string[], expectedAt: number, actualAt: number): Row[] {
  return Array.from({ length: Math.max(expected.length, actual.length) }, (_, index): Row => {
    const [left, right] = [expected[index], actual[index]];
    const [leftNumber, rightNumber] = [expectedAt + index + 1, actualAt + index + 1];
    if (right === undefined) return { kind: "missing", expected: cropLine(left ?? "", leftNumber) };
    if (left === undefined) return { kind: "extra", actual: cropLine(right, rightNumber) };
    if (left === right) {
      return { kind: "same", expected: cropLine(left, leftNumber), actual: cropLine(right, rightNumber) };
    }
    return { kind: "changed", ...diffLinePair(left, right, leftNumber, rightNumber) };
  });
}

/**
 * Drops the differences at the end of the compared lines. The lines after them, which are not compared, could match.
 * Keeps them if there are no others.
 */
function dropEdge(rows: Row[]): Row[] {
  const lastSame = rows.map((row) => row.kind).lastIndexOf("same");
  const rest = rows.slice(0, lastSame + 1);
  return rest.some((row) => row.kind !== "same") ? rest : rows;
}

/** Nothing is missing or extra where the other output is only cut off. */
function markUnknown(rows: Row[], expected: CutText, actual: CutText): Row[] {
  const lastActual = rows.map((row) => "actual" in row).lastIndexOf(true);
  const lastExpected = rows.map((row) => "expected" in row).lastIndexOf(true);
  return rows.map((row, index): Row => {
    const isActualCut = actual.totalBytes !== undefined && index >= lastActual;
    const isExpectedCut = expected.totalBytes !== undefined && index >= lastExpected;
    if (row.kind === "missing" && isActualCut) return { kind: "unknown", expected: row.expected };
    if (row.kind === "extra" && isExpectedCut) return { kind: "unknown", actual: row.actual };
    const isPartial = (isActualCut && index === lastActual) || (isExpectedCut && index === lastExpected);
    if (row.kind === "changed" && isPartial && isCutOnly(row.expected, row.actual)) return { ...row, kind: "unknown" };
    return row;
  });
}

/** Whether one line differs from the other only by what follows its end. */
function isCutOnly(expected: LineView, actual: LineView): boolean {
  const hasDifference = (line: LineView) => line.segments.some((segment) => segment.isDifferent);
  return !hasDifference(expected) || !hasDifference(actual);
}

/** Replaces long runs of equal lines between differences by a fold. */
function foldEqual(rows: Row[]): Row[] {
  const folded: Row[] = [];
  for (let index = 0; index < rows.length;) {
    let end = index;
    while (rows[end]?.kind === "same") end++;
    const run = rows.slice(index, end);
    const tail = end === rows.length ? 0 : CONTEXT;
    const head = index === 0 ? 0 : CONTEXT;
    const count = run.length - head - tail;
    if (count > 1) folded.push(...run.slice(0, head), { kind: "fold", count }, ...run.slice(run.length - tail));
    else folded.push(...run);
    const next = rows[end];
    if (next !== undefined) folded.push(next);
    index = end + 1;
  }
  return folded;
}
