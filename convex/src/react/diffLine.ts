import { diffWordsWithSpace } from "diff";

/** A piece of a line. */
export type Segment = { text: string; isDifferent: boolean };

/** A line of an output, cropped to {@link MAX_LINE} characters. */
export type LineView = {
  /** The number of the line, from 1. */
  number: number;
  segments: Segment[];
  /** Whether characters before or after the segments are left out. */
  isCroppedBefore: boolean;
  isCroppedAfter: boolean;
};

/** The characters of a line that are shown. */
export const MAX_LINE = 160;
/** The characters that are shown before the first difference of a cropped line. */
const LEAD = 40;

/** A line without differences, cropped at its end. */
export function cropLine(line: string, number: number): LineView {
  return view(line, number, 0, [{ text: line.slice(0, MAX_LINE), isDifferent: false }]);
}

/** Two different lines, cropped around their first difference, with the differing pieces marked. */
export function diffLinePair(expected: string, actual: string, expectedNumber: number, actualNumber: number) {
  const prefix = commonPrefix(expected, actual);
  const isLong = Math.max(expected.length, actual.length) > MAX_LINE;
  const start = isLong ? wholeCharacter(expected, Math.max(0, prefix - LEAD)) : 0;
  const [left, right] = diffPieces(expected.slice(start, start + MAX_LINE), actual.slice(start, start + MAX_LINE));
  return {
    expected: view(expected, expectedNumber, start, left),
    actual: view(actual, actualNumber, start, right),
  };
}

function view(line: string, number: number, start: number, segments: Segment[]): LineView {
  return { number, segments, isCroppedBefore: start > 0, isCroppedAfter: start + MAX_LINE < line.length };
}

/** The number of UTF-16 units that both texts begin with, without half a character. */
export function commonPrefix(left: string, right: string): number {
  const length = Math.min(left.length, right.length);
  let count = 0;
  while (count < length && left[count] === right[count]) count++;
  return wholeCharacter(left, count);
}

/** Moves a position that is inside a surrogate pair to the beginning of the pair. */
function wholeCharacter(text: string, position: number): number {
  const code = text.charCodeAt(position);
  return position > 0 && code >= 0xdc00 && code <= 0xdfff ? position - 1 : position;
}

/** Compares word by word, then trims what both versions of a word have in common. */
function diffPieces(expected: string, actual: string): [Segment[], Segment[]] {
  const [left, right]: [Segment[], Segment[]] = [[], []];
  let removed = "";
  const flush = (added: string) => {
    const prefix = commonPrefix(removed, added);
    const suffix = commonSuffix(removed.slice(prefix), added.slice(prefix));
    push(left, removed, prefix, suffix);
    push(right, added, prefix, suffix);
    removed = "";
  };
  for (const change of diffWordsWithSpace(expected, actual)) {
    if (change.removed) {
      removed = change.value;
    } else if (change.added) {
      flush(change.value);
    } else {
      flush("");
      left.push({ text: change.value, isDifferent: false });
      right.push({ text: change.value, isDifferent: false });
    }
  }
  flush("");
  return [left, right];
}

function push(segments: Segment[], text: string, prefix: number, suffix: number) {
  const end = text.length - suffix;
  const pieces = [
    { text: text.slice(0, prefix), isDifferent: false },
    { text: text.slice(prefix, end), isDifferent: true },
    { text: text.slice(end), isDifferent: false },
  ];
  segments.push(...pieces.filter((piece) => piece.text !== ""));
}

function commonSuffix(left: string, right: string): number {
  const length = Math.min(left.length, right.length);
  let count = 0;
  while (count < length && left[left.length - 1 - count] === right[right.length - 1 - count]) count++;
  const code = left.charCodeAt(left.length - count);
  return count > 0 && code >= 0xdc00 && code <= 0xdfff ? count - 1 : count;
}
