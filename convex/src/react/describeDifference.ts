import type { Comparison } from "./compareOutputs.js";
import { commonPrefix } from "./diffLine.js";

/** Says in sentences where and how two outputs differ. */
export function describeDifference({ expected, actual }: Comparison): string[] {
  const isComplete = expected.totalBytes === undefined && actual.totalBytes === undefined;
  const sentences = [
    actual.text === "" && expected.text !== ""
      ? "Your program printed nothing."
      : location(expected.text, actual.text, isComplete),
    isComplete ? nature(expected.text, actual.text) : undefined,
    isComplete ? lineEnds(expected.text, actual.text) : undefined,
    cut("The expected output", expected.totalBytes),
    cut("Your output", actual.totalBytes),
  ];
  return sentences.filter((sentence) => sentence !== undefined);
}

function location(expected: string, actual: string, isComplete: boolean): string {
  if (expected === actual) return isComplete ? "Both outputs are equal." : "The parts shown here are equal.";
  const at = commonPrefix(expected, actual);
  if (!isComplete && (at === expected.length || at === actual.length)) return "The parts shown here are equal.";
  const before = expected.slice(0, at);
  const line = before.split("\n").length;
  const character = Array.from(before.slice(before.lastIndexOf("\n") + 1)).length + 1;
  const [wanted, found] = [describeCharacter(expected, at), describeCharacter(actual, at)];
  return `First difference: line ${line}, character ${character}. Expected ${wanted}, found ${found}.`;
}

function describeCharacter(text: string, at: number): string {
  const code = text.codePointAt(at);
  if (code === undefined) return "the end of the output";
  const character = String.fromCodePoint(code);
  const names: Record<string, string> = {
    " ": "a space",
    "\t": "a tab",
    "\n": "a line end",
    "\r": "a carriage return",
  };
  if (character in names) return names[character] ?? "";
  const isVisible = /^[\p{L}\p{N}\p{P}\p{S}]$/u.test(character);
  return isVisible ? `“${character}”` : `U+${code.toString(16).toUpperCase().padStart(4, "0")}`;
}

function nature(expected: string, actual: string): string | undefined {
  if (expected === actual || actual === "") return undefined;
  if (expected.trimEnd() === actual.trimEnd()) return "Only white space at the end differs.";
  const [left, right] = [expected.replace(/\s+/g, ""), actual.replace(/\s+/g, "")];
  if (left === right) return "Only white space differs.";
  if (expected.toLowerCase() === actual.toLowerCase()) return "Only upper or lower case differs.";
  if (left.toLowerCase() === right.toLowerCase()) return "Only white space and upper or lower case differ.";
  return undefined;
}

function lineEnds(expected: string, actual: string): string | undefined {
  if (actual === "" || expected === "") return undefined;
  const [wanted, found] = [trailingLineEnds(expected), trailingLineEnds(actual)];
  if (wanted === found) return undefined;
  if (found === 0) return `The expected output ends with ${countLineEnds(wanted)}, yours does not.`;
  if (wanted === 0) return `Your output ends with ${countLineEnds(found)}, the expected output does not.`;
  return `The expected output ends with ${countLineEnds(wanted)}, yours with ${countLineEnds(found)}.`;
}

function trailingLineEnds(text: string): number {
  let count = 0;
  while (text[text.length - 1 - count] === "\n") count++;
  return count;
}

function countLineEnds(count: number): string {
  return count === 1 ? "a line end" : `${count} line ends`;
}

function cut(subject: string, totalBytes: number | undefined): string | undefined {
  if (totalBytes === undefined) return undefined;
  return `${subject} is cut off. It has ${totalBytes.toLocaleString("en")} bytes in all.`;
}
