import { describe, expect, test } from "vitest";
import { parseRoute, solveAddress } from "./route";

describe("parseRoute", () => {
  test.each([
    ["", { page: "questions" }],
    ["#/", { page: "questions" }],
    ["#/questions/sum", { page: "solve", slug: "sum" }],
    ["#/questions/sum/submissions/k97", { page: "solve", slug: "sum", submissionId: "k97" }],
    ["#/questions", { page: "unknown" }],
    ["#/questions/sum/submissions", { page: "unknown" }],
    ["#/questions/sum/submissions/k97/more", { page: "unknown" }],
    ["#/nothing/here", { page: "unknown" }],
    ["#/questions/%E0%A4%A", { page: "solve", slug: "%E0%A4%A" }],
  ])("%j is parsed", (hash, route) => expect(parseRoute(hash)).toEqual(route));

  test("address_of_a_question_is_parsed_back_whatever_its_name_contains", () => {
    const [slug, submissionId] = ["a/b #ü?", "x/y"];
    expect(parseRoute(solveAddress(slug))).toEqual({ page: "solve", slug });
    expect(parseRoute(solveAddress(slug, submissionId))).toEqual({ page: "solve", slug, submissionId });
  });
});
