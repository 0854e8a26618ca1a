import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { api } from "../example/convex/_generated/api";
import { withClientOf } from "./learner-client";
import { PYTHON, RIGHT, UNHURRIED, WRONG } from "./programs";
import { ADDITION, addQuestion } from "./questions";
import { SolvePage } from "./solve-page";
import { World } from "./world";

let world: World;

beforeAll(async () => {
  world = await World.start();
  await addQuestion(world.app, "addition", ADDITION);
  await addQuestion(world.app, "personal", ADDITION, { kind: "personalized" });
});
afterAll(() => world.close());

describe("a learner", () => {
  test("solves a personalized question", async () => {
    const page = await world.open("personal");
    await page.submit(PYTHON, UNHURRIED);
    await page.announces("Passed, 3 / 3 passed");
    expect(new Set(world.proxy.calls.map(({ path }) => path))).toEqual(
      new Set([
        "/coding/personalized-testcases",
        "/coding/personalized-submission-running",
        "/coding/personalized-submission-result",
      ]),
    );
    await page.learner.inspect("personalized");
  });

  test("finds a question and submits with the keyboard alone", async () => {
    const learner = await world.learner();
    const { keyboard } = learner.page;
    await learner.page.goto("/");
    const link = learner.page.getByRole("link", { name: "addition" });
    await link.waitFor();
    await learner.inspect("questions");
    await learner.tabTo(link);
    await keyboard.press("Enter");

    const page = SolvePage.of(learner);
    await page.editor.waitFor();
    const language = learner.page.getByLabel("Language");
    await learner.tabTo(language);
    await keyboard.press("ArrowUp");
    expect(await language.inputValue()).not.toBe(String(PYTHON));
    await keyboard.press("ArrowDown");
    expect(await language.inputValue()).toBe(String(PYTHON));
    const names = await language.getByRole("option").allInnerTexts();
    expect(new Set(names).size, "a language is not offered twice").toBe(names.length);
    await learner.tabTo(page.editor);
    await keyboard.type(RIGHT);
    await keyboard.press("Control+Enter");
    await page.announces("Passed, 3 / 3 passed");

    await keyboard.press("Escape");
    await learner.tabTo(page.result.getByRole("button", { name: "Load into the editor" }));
    await learner.inspect("keyboard");
  });

  test("uses a phone", async () => {
    const viewport = { width: 360, height: 740 };
    const page = await world.open("addition", { viewport, isMobile: true, hasTouch: true });
    await page.submit(PYTHON, WRONG);
    await page.explains("Test 1: Wrong answer");
    const width = await page.learner.page.evaluate(() => document.documentElement.scrollWidth);
    expect(width, "the page must not scroll sideways").toBe(viewport.width);
    await page.learner.inspect("phone");
  });

  test("prefers a dark page", async () => {
    const page = await world.open("addition", { colorScheme: "dark" });
    await page.submit(PYTHON, WRONG);
    await page.explains("Test 1: Wrong answer");
    await page.learner.inspect("dark");
  });

  test("reloads the page while the program runs", async () => {
    const result = world.proxy.hold(/result/);
    const page = await world.open("addition");
    await page.submit(PYTHON, UNHURRIED);
    await page.isAt("Running");
    await page.learner.page.reload();
    await page.isAt("Running");
    expect((await page.editor.innerText()).trim()).toBe(UNHURRIED.trim());
    result.release();
    await page.announces("Passed, 3 / 3 passed");
  });

  test("sees nothing of another learner's submissions", async () => {
    const [ada, bob] = await Promise.all([world.open("addition"), world.open("addition")]);
    const [adas, bobs] = await Promise.all([ada.submit(PYTHON, RIGHT), bob.submit(PYTHON, WRONG)]);
    await Promise.all([ada.announces("Passed"), bob.announces("Wrong answer")]);
    expect(await ada.history.allInnerTexts()).toEqual([expect.stringContaining("Passed")]);
    expect(await bob.history.allInnerTexts()).toEqual([expect.stringContaining("Wrong answer")]);

    await SolvePage.open(bob.learner, "addition", adas);
    await bob.result.getByText("This submission does not exist, or it is not one of yours.").waitFor();
    expect(bob.learner.received.join("\n")).not.toContain('"passed"');
    await withClientOf(bob.learner, async (client) => {
      const { submission, source } = api.judge;
      expect(await client.query(submission, { submissionId: adas })).toBeNull();
      expect(await client.query(source, { submissionId: adas })).toBeNull();
      expect(await client.query(submission, { submissionId: bobs })).toMatchObject({ status: "failed" });
      expect(await client.query(source, { submissionId: bobs })).toBe(WRONG);
    });
  });
});
