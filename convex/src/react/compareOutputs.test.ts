import { describe, expect, test } from "vitest";
import { compareOutputs, type Row } from "./compareOutputs.js";
import type { LineView } from "./diffLine.js";

const MARKER = (bytes: number) => `\n[cut: ${bytes} bytes in all]`;

function text(line: LineView): string {
  return line.segments.map(({ text, isDifferent }) => (isDifferent ? `[${text}]` : text)).join("");
}

/** A row as a line of text: the kind, then both sides. Differing pieces are in brackets. */
function show(row: Row): string {
  if (row.kind === "fold") return `fold ${row.count}`;
  const sides = ["expected" in row && row.expected, "actual" in row && row.actual];
  return [row.kind, ...sides.map((line) => (line ? `${line.number} ${JSON.stringify(text(line))}` : "-"))].join(" ");
}

const rows = (expected: string, actual: string) => compareOutputs(expected, actual).rows.map(show);

const numbers = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, index) => `${from + index}\n`).join("");

describe("alignment", () => {
  test("line_that_differs_is_marked_where_it_differs", () => {
    expect(rows("a\n12345 x\n", "a\n12445 x\n")).toEqual([
      'same 1 "a\\n" 1 "a\\n"',
      'changed 2 "12[3]45 x\\n" 2 "12[4]45 x\\n"',
    ]);
  });

  test("missing_first_line_does_not_change_the_others", () => {
    expect(rows("1\n2\n3\n", "2\n3\n")).toEqual([
      'missing 1 "1\\n" -',
      'same 2 "2\\n" 1 "2\\n"',
      'same 3 "3\\n" 2 "3\\n"',
    ]);
  });

  test("extra_lines_follow_the_last_common_line", () => {
    expect(rows("1\n", "1\n2\n")).toEqual(['same 1 "1\\n" 1 "1\\n"', 'extra - 2 "2\\n"']);
  });

  test("line_end_at_the_end_is_a_difference", () => {
    expect(rows("3\n", "3")).toEqual(['changed 1 "3[\\n]" 1 "3"']);
  });

  test("white_space_inside_a_line_is_a_difference", () => {
    expect(rows("a b\n", "a  b\n")).toEqual(['changed 1 "a b\\n" 1 "a [ ]b\\n"']);
    expect(rows("a\tb\n", "a b\n")).toEqual(['changed 1 "a[\\t]b\\n" 1 "a[ ]b\\n"']);
  });

  test("empty_output_misses_all_lines", () => {
    expect(rows("1\n2\n", "")).toEqual(['missing 1 "1\\n" -', 'missing 2 "2\\n" -']);
    expect(rows("", "")).toEqual([]);
  });

  test("surrogate_pairs_stay_complete", () => {
    // Both characters begin with the same UTF-16 unit.
    expect(rows("🙂\n", "🙃\n")).toEqual(['changed 1 "[🙂]\\n" 1 "[🙃]\\n"']);
  });
});

describe("folds", () => {
  test("equal_lines_before_the_first_difference_are_counted", () => {
    const shown = rows(numbers(1, 50), numbers(1, 49) + "x\n");
    expect(shown).toEqual([
      "fold 46",
      'same 47 "47\\n" 47 "47\\n"',
      'same 48 "48\\n" 48 "48\\n"',
      'same 49 "49\\n" 49 "49\\n"',
      'changed 50 "[50]\\n" 50 "[x]\\n"',
    ]);
  });

  test("equal_lines_between_and_after_differences_are_folded", () => {
    const shown = rows(`a\n${numbers(2, 20)}b\n${numbers(22, 40)}`, `x\n${numbers(2, 20)}y\n${numbers(22, 40)}`);
    expect(shown.filter((row) => row.startsWith("fold"))).toEqual(["fold 13", "fold 16"]);
    expect(shown).toHaveLength(2 + 6 + 3 + 2);
  });
});

describe("cut outputs", () => {
  test("lines_after_the_cut_are_unknown", () => {
    const { rows, actual } = compareOutputs("1\n2\n3\n4\n", `1\n2${MARKER(90)}`);
    expect(actual).toEqual({ text: "1\n2", totalBytes: 90 });
    expect(rows.map((row) => row.kind)).toEqual(["same", "unknown", "unknown", "unknown"]);
  });

  test("difference_before_the_cut_stays_a_difference", () => {
    const { rows } = compareOutputs("1\n2\n3\n", `1\n9\n3${MARKER(90)}`);
    expect(rows.map((row) => row.kind)).toEqual(["same", "changed", "unknown"]);
  });

  test("marker_that_the_program_printed_is_text", () => {
    expect(compareOutputs("", `abc${MARKER(3)}`).actual).toEqual({ text: `abc${MARKER(3)}` });
  });
});

describe("large outputs", () => {
  const KIB_64 = 64 * 1024;
  const duration = (run: () => void) => {
    const start = performance.now();
    run();
    return performance.now() - start;
  };
  const cases: [string, string, string][] = [
    ["empty lines", "\n".repeat(KIB_64), "\n".repeat(KIB_64 - 1) + "x"],
    ["short lines, all different", "a\n".repeat(KIB_64 / 2), "b\n".repeat(KIB_64 / 2)],
    ["one long line", "a".repeat(KIB_64), "a".repeat(KIB_64 / 2) + "b" + "a".repeat(KIB_64 / 2)],
    ["one long line of words", "a ".repeat(KIB_64 / 2), "b ".repeat(KIB_64 / 2)],
    ["spaces and tabs", " \t".repeat(KIB_64 / 2), "\t ".repeat(KIB_64 / 2)],
    ["numbers shifted by many lines", numbers(1, 9000), numbers(500, 9500)],
    ["carriage returns", "a\r\n".repeat(20_000), "a\n".repeat(20_000)],
  ];

  test.each(cases)("%s are compared quickly and shown in part", (_name, expected, actual) => {
    let shown: Row[] = [];
    expect(duration(() => (shown = compareOutputs(expected, actual).rows))).toBeLessThan(1000);
    expect(shown.length).toBeLessThanOrEqual(80);
    const lines = shown.flatMap((row) => ["expected" in row && row.expected, "actual" in row && row.actual]);
    for (const line of lines) if (line) expect(text(line).length).toBeLessThan(500);
    expect(shown.some((row) => row.kind !== "same" && row.kind !== "fold")).toBe(true);
  });

  test("lines_after_the_compared_ones_are_not_called_missing_or_extra", () => {
    const { rows, hasMore } = compareOutputs(numbers(1, 5000), numbers(2, 5000));
    expect(rows.map((row) => row.kind)).toEqual(["missing", "same", "same", "same", "fold"]);
    expect(hasMore).toBe(true);
  });

  test("long_line_is_cropped_around_its_difference", () => {
    const [row] = compareOutputs("a".repeat(5000) + "x" + "a".repeat(5000), "a".repeat(10_001)).rows;
    expect(row).toMatchObject({ kind: "changed", expected: { isCroppedBefore: true, isCroppedAfter: true } });
    expect(row?.kind === "changed" && text(row.expected)).toContain("a[x");
  });
});
