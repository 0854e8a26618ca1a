import { expect, test } from "vitest";
import { requestOf, type Fields } from "./request";

const fields = (changed: Partial<Fields>): Fields => ({
  by: "ids",
  ids: "",
  question: "",
  since: "",
  reason: "",
  ...changed,
});

test("ids may be separated by any white space and commas, and count once", () => {
  expect(requestOf(fields({ ids: " a,b\n c\ta ", reason: " new tests " }))).toEqual({
    ids: ["a", "b", "c"],
    reason: "new tests",
  });
});

test("question needs the start of a time range", () => {
  const by = "question";
  expect(requestOf(fields({ by, question: "k57", since: "2h" }))).toEqual({ question: "k57", since: "2h" });
  expect(requestOf(fields({ by, question: "k57" }))).toBe("Enter the start of the time range.");
  expect(requestOf(fields({ by, since: "2h" }))).toBe("Enter the id of the question.");
});

test("empty ids are incomplete", () => {
  expect(requestOf(fields({ ids: " , " }))).toBe("Enter the id of at least one submission.");
});
