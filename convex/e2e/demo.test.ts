import { spawn } from "node:child_process";
import { join, resolve } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { launchBrowser, Learner } from "./learner";
import { SolvePage } from "./solve-page";

const ROOT = resolve(import.meta.dirname, "../..");
const GAVEL = join(process.env.GAVEL_BIN_DIR ?? join(ROOT, "target/debug"), "gavel");

test("scripts/demo --web prints an address where a press on Submit is judged, and stops on Ctrl-C", async () => {
  const demo = startDemo();
  const origin = await demo.address;
  const browser = await launchBrowser();
  onTestFinished(() => browser.close());

  const learner = await Learner.create(browser, origin);
  const page = await SolvePage.open(learner, "sum");
  await learner.page.getByRole("button", { name: "Submit", disabled: false }).click();
  await page.announces(/^Passed, 5 \/ 5 passed/);
  await learner.close();

  demo.interrupt();
  expect(await demo.exitCode).toBe(0);
  await expect(fetch(origin)).rejects.toThrow();
});

/** Runs scripts/demo --web until the end of the test. */
function startDemo() {
  const command = [join(ROOT, "scripts", "demo"), "--web", "--gavel", GAVEL];
  const child = spawn("python3", command, { stdio: ["ignore", "pipe", "pipe"] });
  const exitCode = new Promise<number | null>((resolve) => child.once("close", resolve));
  onTestFinished(async () => {
    child.kill("SIGTERM");
    await exitCode;
  });
  const address = new Promise<string>((resolve, reject) => {
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => {
        output += text;
        const found = /http:\/\/127\.0\.0\.1:\d+(?=\/\n)/.exec(output);
        if (found) resolve(found[0]);
      });
    }
    void exitCode.then((code) => reject(new Error(`scripts/demo exited with ${code}:\n${output}`)));
  });
  return { address, exitCode, interrupt: () => child.kill("SIGINT") };
}
