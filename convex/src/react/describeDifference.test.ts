import { expect, test } from "vitest";
import { compareOutputs } from "./compareOutputs.js";
import { describeDifference } from "./describeDifference.js";

const describe = (expected: string, actual: string) => describeDifference(compareOutputs(expected, actual)).join(" ");

test.each([
  ["3\n", "4\n", "First difference: line 1, character 1. Expected “3”, found “4”."],
  ["3\n", "", "Your program printed nothing."],
  [
    "3\n",
    "3",
    "First difference: line 1, character 2. Expected a line end, found the end of the output. " +
      "Only white space at the end differs. The expected output ends with a line end, yours does not.",
  ],
  [
    "a\n",
    "a\n\n",
    "First difference: line 2, character 1. Expected the end of the output, found a line end. " +
      "Only white space at the end differs. The expected output ends with a line end, yours with 2 line ends.",
  ],
  [
    "x\na b\n",
    "x\na\tb\n",
    "First difference: line 2, character 2. Expected a space, found a tab. Only white space differs.",
  ],
  [
    "Yes\n",
    "YES\n",
    "First difference: line 1, character 2. Expected “e”, found “E”. Only upper or lower case differs.",
  ],
  [
    "Yes\n",
    "YES",
    "First difference: line 1, character 2. Expected “e”, found “E”. Only white space and upper or lower case differ. " +
      "The expected output ends with a line end, yours does not.",
  ],
  [
    "3",
    "3\n\n",
    "First difference: line 1, character 2. Expected the end of the output, found a line end. " +
      "Only white space at the end differs. Your output ends with 2 line ends, the expected output does not.",
  ],
  ["🙂🙂\n", "🙂🙃\n", "First difference: line 1, character 2. Expected “🙂”, found “🙃”."],
  ["a\n", "a\u200b\n", "First difference: line 1, character 2. Expected a line end, found U+200B."],
])("difference of %j and %j is described", (expected, actual, sentence) => {
  expect(describe(expected, actual)).toBe(sentence);
});

test("cut_output_is_named_and_its_end_is_not_compared", () => {
  expect(describe("1\n2\n3\n", "1\n2\n[cut: 12345 bytes in all]")).toBe(
    "The parts shown here are equal. Your output is cut off. It has 12,345 bytes in all.",
  );
});
