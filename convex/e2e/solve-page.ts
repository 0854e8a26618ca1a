import type { Locator } from "playwright-core";
import { expect, vi } from "vitest";
import type { Learner } from "./learner";

/** The page of a question, as a learner uses it. Waits time out after 30 s. */
export class SolvePage {
  private constructor(readonly learner: Learner) {}

  /** The page of a learner who has opened a question. */
  static of(learner: Learner): SolvePage {
    return new SolvePage(learner);
  }

  /** Opens a question, or a submission for it. */
  static async open(learner: Learner, slug: string, submissionId?: string): Promise<SolvePage> {
    const submission = submissionId === undefined ? "" : `/submissions/${submissionId}`;
    await learner.page.goto(`/#/questions/${slug}${submission}`);
    const page = new SolvePage(learner);
    await page.editor.waitFor();
    return page;
  }

  get editor(): Locator {
    return this.learner.page.getByRole("textbox", { name: "Your program" });
  }

  /** The result of the submission that the page shows. */
  get result(): Locator {
    return this.learner.page.getByRole("region", { name: "Submission", exact: true });
  }

  /** The list of the learner's submissions for this question. */
  get history(): Locator {
    return this.learner.page.getByRole("region", { name: "Your submissions" }).getByRole("listitem");
  }

  /** Writes a program and presses Submit. Returns the id of the new submission. */
  async submit(languageId: number, source: string): Promise<string> {
    const { page } = this.learner;
    const before = page.url();
    await page.getByLabel("Language").selectOption(String(languageId));
    await this.editor.fill(source);
    await page.getByRole("button", { name: "Submit", disabled: false }).click();
    await page.waitForURL((url) => url.href !== before && url.hash.includes("/submissions/"));
    return this.submissionId;
  }

  get submissionId(): string {
    return new URL(this.learner.page.url()).hash.split("/").at(-1) ?? "";
  }

  /** Waits until the submission is at this step. */
  async isAt(step: string): Promise<void> {
    await this.steps.filter({ hasText: `${step}, current step` }).waitFor();
  }

  /** Waits until the line that screen readers announce contains this text. */
  async announces(text: string | RegExp): Promise<void> {
    await this.status.getByRole("status").filter({ hasText: text }).waitFor();
  }

  /** Waits until the explanation of a verdict has this title, and returns its text. */
  async explains(title: string | RegExp): Promise<string> {
    await this.result.getByRole("heading", { name: title, level: 3 }).waitFor();
    return await this.result.innerText();
  }

  /** The tests as chips, such as `Test 1: passed`. */
  async tests(): Promise<string[]> {
    const chips = await this.result.getByRole("list", { name: "Tests" }).getByRole("listitem").all();
    return await Promise.all(chips.map(async (chip) => (await chip.getAttribute("title")) ?? ""));
  }

  /** Waits until the list of submissions consists of items with these texts. */
  async historyIs(texts: RegExp[]): Promise<void> {
    await vi.waitFor(async () => {
      const items = await this.history.allInnerTexts();
      expect(items).toEqual(texts.map((text) => expect.stringMatching(text) as string));
    }, 30_000);
  }

  /** The text under a title in the explanation, such as the input of the failed test. */
  async field(title: string): Promise<string> {
    return await this.result.getByRole("region", { name: title }).locator("pre").innerText();
  }

  private get status(): Locator {
    return this.result.getByRole("region", { name: "Status of the submission" });
  }

  private get steps(): Locator {
    return this.status.getByRole("listitem");
  }
}
