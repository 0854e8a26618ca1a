import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { PYTHON, UNHURRIED } from "./programs";
import { ADDITION, addQuestion, setTestCases } from "./questions";
import { World } from "./world";

let world: World;

beforeAll(async () => {
  world = await World.start();
});
afterAll(() => world.close());

describe("a rejudge", () => {
  test("changes the verdict under the learner's eyes", async () => {
    const questionId = await addQuestion(world.app, "addition", ADDITION);
    const page = await world.open("addition");
    const id = await page.submit(PYTHON, UNHURRIED);
    await page.announces("Passed, 3 / 3 passed");

    const [first, ...others] = ADDITION;
    await setTestCases(world.app, questionId, [{ ...first!, expectedStdout: "4\n" }, ...others]);
    const result = world.proxy.hold(/result/);
    await world.pipeline.gavel("rejudge", id);
    await page.announces("Running the tests.");
    await page.result.getByText("This submission is being judged again.").waitFor();
    await page.learner.inspect("rejudge-running");
    result.release();
    await page.explains("Test 1: Wrong answer");
    await page.announces("Wrong answer, 0 / 3 passed");
    await page.result.getByText("This submission was judged again.").waitFor();
    await page.learner.inspect("rejudged");

    await setTestCases(world.app, questionId, ADDITION);
    await world.pipeline.gavel("rejudge", id);
    await page.announces("Passed, 3 / 3 passed");
    expect(await page.result.getByRole("heading", { level: 3 }).allInnerTexts()).toEqual([]);
    expect(await page.tests()).toEqual(["Test 1: passed", "Test 2: passed", "Test 3: passed"]);
    expect(await page.history.allInnerTexts()).toEqual([expect.stringContaining("Passed")]);
  });
});
