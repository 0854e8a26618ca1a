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

const SCREENSHOTS = join(import.meta.dirname, "screenshots");

/** Starts the browser. The variable CHROMIUM names another executable than Debian's. */
export async function launchBrowser(): Promise<Browser> {
  return await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    // Chromium's own sandbox does not start as root, as which the judge's sandbox must run.
    args: ["--no-sandbox"],
  });
}

/** A learner with a separate browser profile, and everything on their page that should not happen. */
export class Learner {
  /** All WebSocket messages that the page received. */
  readonly received: string[] = [];
  private readonly problems: string[] = [];
  private readonly expected: RegExp[] = [];

  private constructor(
    readonly page: Page,
    private readonly context: BrowserContext,
    private readonly origin: string,
  ) {
    page.on("console", (message) => {
      if (message.type() === "error" || message.type() === "warning") this.problem(`console: ${message.text()}`);
    });
    page.on("pageerror", (error) => this.problem(`uncaught: ${error.stack ?? error.message}`));
    page.on("requestfailed", (request) => {
      this.problem(`request failed: ${request.url()}: ${request.failure()?.errorText}`);
    });
    page.on("request", (request) => this.checkHost(request.url()));
    page.on("response", (response) => {
      if (response.status() >= 400) this.problem(`answer ${response.status()}: ${response.url()}`);
    });
    page.on("websocket", (socket) => {
      this.checkHost(socket.url());
      socket.on("framereceived", ({ payload }) => this.received.push(payload.toString()));
    });
  }

  /** Opens a new browser profile; no page is loaded yet. `origin` is the only address it may call. */
  static async create(browser: Browser, origin: string, options: BrowserContextOptions = {}): Promise<Learner> {
    const context = await browser.newContext({ baseURL: origin, viewport: { width: 1280, height: 1100 }, ...options });
    context.setDefaultTimeout(30_000);
    return new Learner(await context.newPage(), context, origin);
  }

  /** Accepts problems that match, in a test that causes them. */
  expect(problem: RegExp): void {
    this.expected.push(problem);
  }

  /** Takes the page off the network, or back. The browser closes open WebSockets only when they are used next. */
  async setOffline(isOffline: boolean): Promise<void> {
    await this.context.setOffline(isOffline);
  }

  /** Presses Tab until the element has the focus. */
  async tabTo(element: Locator): Promise<void> {
    for (let presses = 0; presses < 50; presses += 1) {
      await this.page.keyboard.press("Tab");
      if (await element.evaluate((node) => node === document.activeElement)) return;
    }
    throw new Error(`the Tab key does not reach ${String(element)}`);
  }

  /** Takes a screenshot, and fails if axe finds a serious accessibility problem on the page. */
  async inspect(name: string): Promise<void> {
    mkdirSync(SCREENSHOTS, { recursive: true });
    await this.page.screenshot({ path: join(SCREENSHOTS, `${name}.png`), fullPage: true });
    await this.page.evaluate(axe.source);
    const { violations } = await this.page.evaluate(() => window.axe.run());
    for (const { id, impact, help, nodes } of violations) {
      if (impact !== "serious" && impact !== "critical") continue;
      this.problem(`axe on ${name}: ${id}: ${help}: ${nodes.map((node) => node.html).join(" ")}`);
    }
  }

  /** Closes the page. Fails if there was a problem on it that was not expected. */
  async close(): Promise<void> {
    await this.context.close();
    const problems = this.problems.filter((problem) => !this.expected.some((pattern) => pattern.test(problem)));
    if (problems.length > 0) throw new Error(`problems on the page:\n${problems.join("\n")}`);
  }

  private problem(problem: string): void {
    this.problems.push(problem);
  }

  private checkHost(url: string): void {
    const { protocol, host } = new URL(url);
    const isLocal = protocol === "data:" || protocol === "blob:";
    if (!isLocal && host !== new URL(this.origin).host) this.problem(`request to another host: ${url}`);
  }
}

declare global {
  interface Window {
    axe: typeof axe;
  }
}
