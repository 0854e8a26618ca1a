// Makes the picture in the README: the samples run at a changing rate for MINUTES (30), then the overview is photographed.
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, test } from "vitest";
import { World } from "./world";

const ROOT = resolve(import.meta.dirname, "../../../..");
const PICTURE = join(ROOT, "docs/console.png");
const MINUTES = Number(process.env.MINUTES ?? 30);
/** Time between two submissions: the mean, and how far the rate rises and falls around it, in milliseconds. */
const PAUSE = { mean: 2_500, change: 1_500 };

interface Sample {
  file: string;
  language: number;
  question: string;
  kind: string;
  expect: { status: string };
}

let world: World;

beforeAll(async () => {
  world = await World.start();
}, 120_000);
afterAll(() => world.close());

test("picture of the overview", async () => {
  const samples = JSON.parse(readFileSync(join(ROOT, "samples/demo.json"), "utf8")) as Sample[];
  const right = samples.filter(({ expect }) => expect.status === "passed");
  const start = Date.now();
  for (let n = 0; Date.now() < start + MINUTES * 60_000; n += 1) {
    // Of three submissions, two are right.
    await submit(n % 3 === 0 ? samples[(n * 7) % samples.length] : right[n % right.length]);
    const part = (Date.now() - start) / (MINUTES * 60_000);
    const pause = PAUSE.mean - PAUSE.change * Math.sin(part * 3 * Math.PI) * Math.sin(part * 17);
    await new Promise((done) => setTimeout(done, pause));
  }
  const operator = await world.open("/", { colorScheme: "light", viewport: { width: 1280, height: 735 } });
  await operator.sees("All is well");
  const slow = samples.find(({ file }) => file.endsWith("sleeper.py"));
  for (let n = 0; n < 5; n += 1) await submit(slow);
  await operator.page.getByRole("table", { name: "Judges" }).getByRole("link").nth(1).waitFor();
  await operator.page.screenshot({ path: PICTURE });
});

async function submit(sample: Sample | undefined): Promise<void> {
  if (sample === undefined) throw new Error("samples/demo.json has no such sample");
  const source = readFileSync(join(ROOT, "samples", sample.file), "utf8");
  await world.submit(source, sample.question, sample.language, sample.kind);
}
