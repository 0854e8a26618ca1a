import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { PYTHON, RIGHT } from "./programs";
import { ADDITION, addQuestion } from "./questions";
import { World } from "./world";

const OUR_FAULT = "The judge is not available because of a problem on our side. Please try again later.";

let world: World;

beforeAll(async () => {
  world = await World.start();
  await addQuestion(world.app, "addition", ADDITION);
  await addQuestion(world.app, "untested", []);
});
afterAll(() => world.close());
afterEach(() => void vi.unstubAllEnvs());

describe("a system fault is explained to the learner and to the developer:", () => {
  test("a question without test cases", async () => {
    const page = await world.open("untested");
    await page.learner.page.getByText("This question has no tests yet.").waitFor();
    await page.submit(PYTHON, RIGHT);
    expect(await page.explains("This submission could not be judged")).toContain("The question has no test cases.");
    await page.announces("System error");
    await page.learner.inspect("no-test-cases");
  });

  test("a wrong key", async () => {
    vi.stubEnv("GAVEL_KEY", "wrong");
    const page = await world.open("addition");
    await page.submit(PYTHON, RIGHT);
    expect(await page.explains("This submission could not be judged")).toContain(OUR_FAULT);
    await page.learner.inspect("wrong-key");
    expect(world.developerLog()).toContainEqual(
      expect.stringMatching(new RegExp(`^Submission ${page.submissionId} .*GAVEL_KEY.*npx convex env set GAVEL_KEY`)),
    );
  });

  test("a judge that is not configured", async () => {
    vi.stubEnv("GAVEL_URL", "");
    const page = await world.open("addition");
    await page.submit(PYTHON, RIGHT);
    expect(await page.explains("This submission could not be judged")).toContain(OUR_FAULT);
    await page.learner.inspect("not-configured");
    expect(world.developerLog()).toContainEqual(
      expect.stringMatching(new RegExp(`^Submission ${page.submissionId} .*GAVEL_URL is not set.*npx convex env set`)),
    );
  });
});
