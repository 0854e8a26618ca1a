import { expect, test } from "vitest";
import { filtersOf, tapCommand } from "./filters";

test("filters are those of the address", () => {
  expect(filtersOf("?id=k97&stage=judged&stage=dead&errors=true&where=&other=1")).toEqual({
    id: "k97",
    stage: "judged,dead",
    errors: "true",
  });
});

test("command quotes what a shell would split or expand", () => {
  const filters = { since: "10m", errors: "true", where: "reason == 'it''s' and durationMs > 5s", lang: "71" };
  expect(tapCommand(filters)).toBe(
    `gavel tap --since 10m --errors --where 'reason == '\\''it'\\'''\\''s'\\'' and durationMs > 5s' --lang 71`,
  );
});
