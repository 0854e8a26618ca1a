import { describe, expect, test } from "vitest";
import { callbackId } from "../testing/calls.js";
import { parseCallbackId } from "./callbackId.js";

describe("parseCallbackId", () => {
  test.each([
    ["running-k97", { kind: "running", key: "k97", generation: 1 }],
    ["result-k97~2e3", { kind: "result", key: "k97", generation: 3 }],
    ["last-word-s12~2e12", { kind: "last-word", key: "s12", generation: 12 }],
    ["result-a-b_c", { kind: "result", key: "a-b_c", generation: 1 }],
    // The characters of the test vector in Gavel's own tests.
    ["result-gr~c3~bc~c3~9f~7e~2fx", { kind: "result", key: "grüß~/x", generation: 1 }],
    ["testcases-0123456789abcdef", { kind: "testcases", key: "0123456789abcdef", generation: 1 }],
    ["doctor-00ff", { kind: "doctor", key: "00ff", generation: 1 }],
  ])("reads %s", (id, expected) => {
    expect(parseCallbackId(id)).toEqual(expected);
  });

  test.each([
    "",
    "k97",
    "other-k97",
    "running-",
    "running-k97.2",
    "running-k97~2",
    "running-k97~2E2",
    "running-k97~2e",
    "running-k97~2e0",
    "running-k97~2e1",
    "running-k97~2e02",
    "running-k97~2ex",
    "running-k97~2e2~2e3",
    "running-~2e2",
    "running-~ff",
    "running-k97~2e99999999999999999999",
    "running-k97\n",
  ])("refuses %j", (id) => {
    expect(parseCallbackId(id)).toBeUndefined();
  });

  test("reads the ids of convex-test, which contain a semicolon", () => {
    expect(parseCallbackId(callbackId("running", "10001;submissions", 2))).toEqual({
      kind: "running",
      key: "10001;submissions",
      generation: 2,
    });
  });
});
