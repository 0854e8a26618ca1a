import { mkdirSync } from "node:fs";
import { join } from "node:path";
import axe from "axe-core";
import {
  chromium,
  type Browser,
  type BrowserContext,
  type BrowserContextOptions,
  type Locator,
  type Page,
} from "playwright-core";
import { onTestFinished } from "vitest";

const SCREENSHOTS = join(import.meta.dirname, "screenshots");

/** The viewport of a phone. */
export const PHONE = { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true };

/** Starts the browser. The variable CHROMIUM names another executable than Debian's. */
export async function launchBrowser(): Promise<Browser> {
  return await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    // Chromium's own sandbox does not start as root, as which the judge's sandbox must run.
    args: ["--no-sandbox"],
  });
}

/** An operator with a separate browser profile, and everything on their page that should not happen. */
export class Operator {
  /** The URLs of all requests, with their methods. */
  readonly requests: string[] = [];
  private readonly problems: string[] = [];
  private readonly expected: RegExp[] = [];

  private constructor(
    readonly page: Page,
    private readonly context: BrowserContext,
    origin: string,
  ) {
    page.on("console", (message) => {
      if (message.type() === "error" || message.type() === "warning") this.problems.push(`console: ${message.text()}`);
    });
    page.on("pageerror", (error) => this.problems.push(`uncaught: ${error.stack ?? error.message}`));
    page.on("request", (request) => {
      this.requests.push(`${request.method()} ${request.url()}`);
      if (new URL(request.url()).origin !== origin) this.problems.push(`request to another host: ${request.url()}`);
    });
  }

  /** Opens a page of the console at `origin`, until the end of the test. The end fails if there was a problem on the page. */
  static async open(
    browser: Browser,
    origin: string,
    path: string,
    options: BrowserContextOptions = {},
  ): Promise<Operator> {
    const context = await browser.newContext({ baseURL: origin, viewport: { width: 1280, height: 900 }, ...options });
    context.setDefaultTimeout(90_000);
    const operator = new Operator(await context.newPage(), context, origin);
    onTestFinished(() => operator.close());
    await operator.page.goto(path);
    return operator;
  }

  /** Accepts problems that match, in a test that causes them. */
  expect(problem: RegExp): void {
    this.expected.push(problem);
  }

  /** Waits until this text is in view. */
  async sees(text: string | RegExp): Promise<void> {
    await this.page.getByText(text).filter({ visible: true }).first().waitFor();
  }

  /** Enters the key of the console. */
  async enterKey(key: string): Promise<void> {
    await this.page.getByRole("banner").getByRole("button", { name: "Enter the key" }).click();
    const dialog = this.page.getByRole("dialog");
    await dialog.getByLabel("Key").fill(key);
    await dialog.getByRole("button", { name: "Use the key" }).click();
  }

  /** Presses Tab until the element has the focus. */
  async tabTo(element: Locator): Promise<void> {
    for (let presses = 0; presses < 60; presses += 1) {
      await this.page.keyboard.press("Tab");
      if (await element.evaluate((node) => node === document.activeElement)) return;
    }
    throw new Error(`the Tab key does not reach ${String(element)}`);
  }

  /** Takes a screenshot, and fails if axe finds a serious problem, or if the page scrolls sideways. */
  async inspect(name: string): Promise<void> {
    mkdirSync(SCREENSHOTS, { recursive: true });
    await this.page.screenshot({ path: join(SCREENSHOTS, `${name}.png`), fullPage: true });
    await this.page.evaluate(axe.source);
    const { violations } = await this.page.evaluate(() => window.axe.run());
    for (const { id, impact, help, nodes } of violations) {
      if (impact !== "serious" && impact !== "critical") continue;
      this.problems.push(`axe on ${name}: ${id}: ${help}: ${nodes.map((node) => node.html).join(" ")}`);
    }
    const excess = await this.page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    if (excess > 0) this.problems.push(`${name} scrolls sideways by ${excess} px`);
  }

  private async close(): Promise<void> {
    await this.context.close();
    const problems = this.problems.filter((problem) => !this.expected.some((pattern) => pattern.test(problem)));
    if (problems.length > 0) throw new Error(`problems on the page:\n${problems.join("\n")}`);
  }
}

declare global {
  interface Window {
    axe: typeof axe;
  }
}
