import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { C, CRASH, ENDLESS, MEMORY_HOG, NOT_C, PYTHON, UNHURRIED, WRONG, WRONG_IF_LARGE } from "./programs";
import { ADDITION, addQuestion, HIDDEN } from "./questions";
import { World } from "./world";

let world: World;

beforeAll(async () => {
  world = await World.start();
  await addQuestion(world.app, "addition", ADDITION);
});
afterAll(() => world.close());

describe("a submission", () => {
  test("is queued, then running, then passed", async () => {
    const testCases = world.proxy.hold(/testcases/);
    const result = world.proxy.hold(/result/);
    const page = await world.open("addition");
    await page.submit(PYTHON, UNHURRIED);

    await page.isAt("Queued");
    await page.announces("Waiting for a judge.");
    await testCases.first;
    await page.learner.inspect("queued");
    testCases.release();

    await page.isAt("Running");
    await page.announces("Running the tests.");
    await result.first;
    await page.learner.inspect("running");
    result.release();

    await page.isAt("Verdict");
    await page.announces(/^Passed, 3 \/ 3 passed, [\d.]+\ss$/);
    expect(await page.tests()).toEqual(["Test 1: passed", "Test 2: passed", "Test 3: passed"]);
    expect(await page.history.allInnerTexts()).toEqual([expect.stringMatching(/Passed[^]*3 \/ 3 passed · Python/)]);
    await page.learner.inspect("passed");
  });

  test("that is wrong on a public test shows its input and both outputs", async () => {
    const page = await world.open("addition");
    await page.submit(PYTHON, WRONG);
    await page.explains("Test 1: Wrong answer");
    await page.announces("Wrong answer, 0 / 3 passed");
    expect(await page.tests()).toEqual(["Test 1: failed", "Test 2: not run", "Test 3: not run"]);
    expect(await page.field("Input")).toBe("1 2\n");
    const diff = page.result.getByRole("table", { name: "Expected output and your output" });
    expect(await diff.getByRole("columnheader").allInnerTexts()).toEqual(["Expected", "Your output"]);
    expect(await diff.getByRole("cell").allInnerTexts()).toEqual([
      expect.stringMatching(/different:\s*3↵$/),
      expect.stringMatching(/different:\s*·3↵$/),
    ]);
    await page.learner.inspect("wrong-public");
  });

  test("that is wrong on a hidden test reveals nothing of it", async () => {
    const page = await world.open("addition");
    await page.submit(PYTHON, WRONG_IF_LARGE);
    expect(await page.explains("Test 3: Wrong answer")).toContain("Its input and its expected output are not shown.");
    expect(await page.tests()).toEqual(["Test 1: passed", "Test 2: passed", "Test 3: failed, hidden"]);
    expect(await page.field("Your output")).toBe("987\n");
    await page.learner.inspect("wrong-hidden");

    const received = page.learner.received.join("\n");
    expect(received).toContain("Wrong answer");
    for (const secret of [HIDDEN.stdin.trim(), HIDDEN.expectedStdout.trim(), HIDDEN.name]) {
      expect(await page.learner.page.content()).not.toContain(secret);
      expect(received).not.toContain(secret);
    }
  });

  test("that does not compile shows the compiler's output", async () => {
    const page = await world.open("addition");
    await page.submit(C, NOT_C);
    await page.explains("The program did not compile");
    await page.announces("Compile error, 0 / 3 passed");
    expect(await page.field("Compiler output")).toMatch(/error: .*undeclared/);
    await page.learner.inspect("compile-error");
  });

  test("that runs too long exceeds the time limit", async () => {
    const page = await world.open("addition");
    await page.submit(PYTHON, ENDLESS);
    await page.explains("Test 1: Time limit exceeded");
    await page.announces("Time limit exceeded, 0 / 3 passed");
    await page.learner.inspect("time-limit");
  });

  test("that takes too much memory exceeds the memory limit", async () => {
    const page = await world.open("addition");
    await page.submit(PYTHON, MEMORY_HOG);
    await page.explains("Test 1: Memory limit exceeded");
    await page.announces("Memory limit exceeded, 0 / 3 passed");
    await page.learner.inspect("memory-limit");
  });

  test("that crashes shows its error output", async () => {
    const page = await world.open("addition");
    await page.submit(PYTHON, CRASH);
    await page.explains("Test 1: Runtime error");
    await page.announces("Runtime error, 0 / 3 passed");
    expect(await page.field("Error output")).toContain("ZeroDivisionError");
    // The two halves of the page scroll, and so must not make the page itself longer than the window.
    const excess = await page.learner.page.evaluate(() => document.documentElement.scrollHeight - window.innerHeight);
    expect(excess).toBe(0);
    await page.learner.inspect("runtime-error");
  });
});
