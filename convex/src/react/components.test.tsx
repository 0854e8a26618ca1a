import { act, cleanup, render, screen, within } from "@testing-library/react";
import axe from "axe-core";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { SubmissionView } from "../client/types.js";
import { FirstFailure } from "./firstFailure.js";
import { submission, unfinished } from "./submission.test.fixture.js";
import { SLOW_AFTER, SubmissionStatus } from "./submissionStatus.js";
import { TestChips } from "./testChips.js";

const COMPILE_ERROR = submission({
  passedCount: 0,
  firstFailureIndex: 0,
  firstFailure: { errorMessage: "main.c:1: error: expected ‘;’" },
  compileOutput: "main.c:1: error: expected ‘;’",
});
const HIDDEN = submission({ firstFailure: { actualOutput: "4\n", errorMessage: "Wrong answer" } });
const SYSTEM_ERROR = submission({
  status: "error",
  passedCount: 2,
  firstFailureIndex: undefined,
  firstFailure: { errorMessage: "Python 2 is not available on this judge." },
});
const PASSED = submission({ status: "passed", passedCount: 10, firstFailureIndex: undefined, firstFailure: undefined });

afterEach(cleanup);

function steps(): string[] {
  return screen.getAllByRole("listitem").map((item) => `${item.dataset.state}: ${item.textContent}`);
}

describe("SubmissionStatus", () => {
  test.each([
    [unfinished("queued"), ["current: Queued, current step", "pending: Running, not reached"], "Waiting for a judge."],
    [unfinished("running"), ["done: Queued, done", "current: Running, current step"], "Running the tests."],
    [PASSED, ["done: Queued, done", "done: Running, done"], "Passed, 10 / 10 passed, 0.81\u00a0s"],
    [submission(), ["done: Queued, done", "done: Running, done"], "Wrong answer, 3 / 10 passed, 0.81\u00a0s"],
    [COMPILE_ERROR, ["done: Queued, done", "done: Running, done"], "Compile error, 0 / 10 passed, 0.81\u00a0s"],
    [SYSTEM_ERROR, ["done: Queued, done", "skipped: Running, skipped"], "System error, 2 / 10 passed, 0.81\u00a0s"],
  ])("submission %# shows its steps and a summary", (view, firstSteps, summary) => {
    render(<SubmissionStatus submission={view} />);
    expect(steps().slice(0, 2)).toEqual(firstSteps);
    expect(screen.getByRole("status").textContent).toBe(summary);
    expect(screen.getAllByRole("listitem").filter((item) => item.getAttribute("aria-current") === "step")).toHaveLength(
      1,
    );
  });

  test("verdict_is_the_last_step", () => {
    const { rerender } = render(<SubmissionStatus submission={unfinished("running")} />);
    expect(steps()[2]).toBe("pending: Verdict, not reached");
    rerender(<SubmissionStatus submission={submission()} />);
    expect(steps()[2]).toBe("current: Verdict, current step");
  });

  test("score_and_time_are_left_out_if_unknown", () => {
    const view = { ...SYSTEM_ERROR, passedCount: undefined, totalCount: undefined, durationMs: undefined };
    render(<SubmissionStatus submission={view} />);
    expect(screen.getByRole("status").textContent).toBe("System error");
  });

  test("live_region_does_not_change_if_the_text_stays", async () => {
    const { rerender } = render(<SubmissionStatus submission={unfinished("queued")} />);
    const changes = vi.fn();
    const observer = new MutationObserver(changes);
    observer.observe(screen.getByRole("status"), { childList: true, characterData: true, subtree: true });
    rerender(<SubmissionStatus submission={{ ...unfinished("queued") }} />);
    await Promise.resolve();
    expect(changes).not.toHaveBeenCalled();
    rerender(<SubmissionStatus submission={unfinished("running")} />);
    await Promise.resolve();
    expect(changes).toHaveBeenCalledOnce();
    observer.disconnect();
  });

  describe("after ten seconds", () => {
    beforeEach(() => void vi.useFakeTimers());
    afterEach(() => void vi.useRealTimers());
    const wait = () => act(() => void vi.advanceTimersByTime(SLOW_AFTER));

    test("status_says_that_it_takes_long", () => {
      const { rerender } = render(<SubmissionStatus submission={unfinished("queued")} />);
      wait();
      expect(screen.getByRole("status").textContent).toBe("Still waiting for a judge.");
      rerender(<SubmissionStatus submission={unfinished("running")} />);
      expect(screen.getByRole("status").textContent).toBe("Running the tests.");
      wait();
      expect(screen.getByRole("status").textContent).toBe("Still running the tests.");
    });

    test("another_submission_starts_with_a_new_state", () => {
      const { rerender } = render(<SubmissionStatus submission={unfinished("queued")} />);
      wait();
      rerender(<SubmissionStatus submission={unfinished("queued", "s2")} />);
      expect(screen.getByRole("status").textContent).toBe("Waiting for a judge.");
    });
  });
});

describe("TestChips", () => {
  function chips(view: SubmissionView): string[] {
    const { container } = render(<TestChips submission={view} />);
    return Array.from(container.querySelectorAll("li"), (item) => item.title);
  }

  test("tests_before_the_first_failure_passed_and_later_ones_were_not_run", () => {
    expect(chips(submission({ totalCount: 5 }))).toEqual([
      "Test 1: passed",
      "Test 2: passed",
      "Test 3: passed",
      "Test 4: failed",
      "Test 5: not run",
    ]);
  });

  test("first_failure_has_a_lock_if_it_is_hidden", () => {
    expect(chips(HIDDEN)[3]).toBe("Test 4: failed, hidden");
  });

  test("program_that_does_not_compile_runs_no_test", () => {
    expect(new Set(chips(COMPILE_ERROR).map((text) => text.split(": ")[1]))).toEqual(new Set(["not run"]));
  });

  test("system_error_leaves_the_rest_unjudged", () => {
    expect(chips({ ...SYSTEM_ERROR, totalCount: 3 })).toEqual([
      "Test 1: passed",
      "Test 2: passed",
      "Test 3: not judged",
    ]);
  });

  test.each([unfinished("queued"), unfinished("running"), { ...SYSTEM_ERROR, totalCount: undefined }])(
    "nothing is shown without a known number of tests (%#)",
    (view) => expect(chips(view)).toEqual([]),
  );
});

describe("FirstFailure", () => {
  test("public_test_shows_input_and_difference", () => {
    render(<FirstFailure submission={submission()} />);
    expect(screen.getByRole("heading", { level: 3 }).textContent).toBe("Test 4: Wrong answer");
    expect(within(screen.getByRole("region", { name: "Input" })).getByText("1 2")).toBeDefined();
    const [, row] = within(screen.getByRole("table")).getAllByRole("row");
    expect(row?.textContent).toBe("1 − different: 3↵1 + different: 4↵");
  });

  test("hidden_test_says_so_and_shows_the_actual_output_only", () => {
    render(<FirstFailure submission={HIDDEN} />);
    expect(screen.getByText(/This test is hidden/)).toBeDefined();
    expect(screen.getByRole("region", { name: "Your output" }).textContent).toContain("4");
    expect(screen.queryByRole("table")).toBeNull();
    expect(screen.queryByText("Expected")).toBeNull();
  });

  test("compile_error_shows_the_compiler_output_only", () => {
    render(<FirstFailure submission={{ ...COMPILE_ERROR, firstFailure: { stdin: "1\n", actualOutput: "" } }} />);
    expect(screen.getByRole("region", { name: "Compiler output" }).textContent).toContain("error: expected");
    expect(screen.queryByRole("region", { name: "Input" })).toBeNull();
  });

  test("runtime_error_shows_stderr_or_how_the_program_ended", () => {
    const failure = { stdin: "1\n", actualOutput: "", expectedOutput: "1\n" };
    const stderr = "Traceback: ZeroDivisionError";
    const { rerender } = render(
      <FirstFailure submission={submission({ stderr, firstFailure: { ...failure, errorMessage: stderr } })} />,
    );
    expect(screen.getByRole("heading", { level: 3 }).textContent).toBe("Test 4: Runtime error");
    expect(screen.getAllByText(stderr)).toHaveLength(1);
    const errorMessage = "Runtime error (SIGSEGV)";
    rerender(<FirstFailure submission={submission({ firstFailure: { ...failure, errorMessage } })} />);
    expect(screen.getByText(errorMessage)).toBeDefined();
  });

  test("system_error_shows_the_reason", () => {
    render(<FirstFailure submission={SYSTEM_ERROR} />);
    expect(screen.getByText(/Python 2 is not available on this judge\./)).toBeDefined();
  });

  test("cut_input_is_marked", () => {
    const stdin = "1 2\n[cut: 70000 bytes in all]";
    render(<FirstFailure submission={submission({ firstFailure: { ...submission().firstFailure, stdin } })} />);
    expect(screen.getByText("Cut off. The whole text has 70,000 bytes.")).toBeDefined();
    expect(screen.queryByText(/\[cut:/)).toBeNull();
  });

  test.each([unfinished("queued"), unfinished("running"), PASSED])(
    "nothing is shown without a failure (%#)",
    (view) => {
      const { container } = render(<FirstFailure submission={view} />);
      expect(container.innerHTML).toBe("");
    },
  );
});

test.each([unfinished("queued"), PASSED, submission(), HIDDEN, COMPILE_ERROR, SYSTEM_ERROR])(
  "axe finds nothing in submission %#",
  async (view) => {
    const { container } = render(
      <main>
        <h1>Sum</h1>
        <h2>Result</h2>
        <SubmissionStatus submission={view} />
        <TestChips submission={view} />
        <FirstFailure submission={view} />
      </main>,
    );
    // Colours and layout need a browser.
    const { violations } = await axe.run(container, { rules: { "color-contrast": { enabled: false } } });
    expect(violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`)).toEqual([]);
  },
);
