import type { Browser, BrowserContextOptions } from "playwright-core";
import { onTestFailed, onTestFinished, vi, type MockInstance } from "vitest";
import { startDevServer, type DevServer } from "../dev-server";
import { PAGE_DIR } from "./build";
import { launchBrowser, Learner } from "./learner";
import { Pipeline } from "./pipeline";
import { RecordingProxy } from "./recording-proxy";
import { SolvePage } from "./solve-page";

/** Everything from the page to the sandbox: browser, app, Gavel, and the proxy between Gavel and the app. */
export class World {
  private constructor(
    readonly proxy: RecordingProxy,
    readonly pipeline: Pipeline,
    readonly app: DevServer,
    private readonly browser: Browser,
    private readonly consoleError: MockInstance<typeof console.error>,
  ) {}

  /** Starts everything. */
  static async start(): Promise<World> {
    const consoleError = vi.spyOn(console, "error").mockImplementation(() => undefined);
    const proxy = await RecordingProxy.start();
    const [pipeline, browser] = await Promise.all([Pipeline.start(proxy.url), launchBrowser()]);
    const app = await startDevServer({
      pageDir: PAGE_DIR,
      env: {
        GAVEL_URL: pipeline.ingress.url,
        GAVEL_KEY: pipeline.secrets.ingressKey,
        GAVEL_TOKENS: pipeline.secrets.token,
        GAVEL_SIGNING_SECRETS: pipeline.secrets.signingSecret,
      },
    });
    proxy.target = app.siteUrl;
    return new World(proxy, pipeline, app, browser, consoleError);
  }

  /** Opens the page as a new learner, until the end of the test. */
  async learner(options?: BrowserContextOptions): Promise<Learner> {
    const learner = await Learner.create(this.browser, this.app.url, options);
    onTestFailed(() => console.log([...this.developerLog(), ...this.pipeline.warnings()].join("\n")));
    onTestFinished(() => learner.close());
    return learner;
  }

  /** Opens a question as a new learner, until the end of the test. */
  async open(slug: string, options?: BrowserContextOptions): Promise<SolvePage> {
    return await SolvePage.open(await this.learner(options), slug);
  }

  /** The errors that the functions of the app have logged. */
  developerLog(): string[] {
    return this.consoleError.mock.calls.map((args) => args.map(String).join(" "));
  }

  async close(): Promise<void> {
    await this.browser.close();
    await this.app.close();
    await this.pipeline.close();
    await this.proxy.close();
    this.consoleError.mockRestore();
  }
}
