import { randomBytes } from "node:crypto";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { RIGHT, World } from "./world";

/** Events per second, and for how long. */
const RATE = 1_000;
const SECONDS = 10;
/** The CPU time that the page may use, as a part of the time. It does not depend on other load of the machine. */
const MAX_BUSY = 0.3;
/** The longest time between two frames, in milliseconds. Other load of the machine is part of it. */
const MAX_FRAME_GAP = 5_000;

let world: World;

beforeAll(async () => {
  world = await World.start();
});
afterAll(() => world.close());

test("list stays usable with 1,000 events a second", async () => {
  const connection = await world.nats();
  try {
    const original = await oneQueuedEvent(connection);
    // Without its consumers the events stay what they are.
    await Promise.all([world.pipeline.fetcher.stop(), world.pipeline.judge.stop()]);
    const operator = await world.open("/submissions");
    await operator.sees("passed");
    await operator.page.evaluate(measure);
    const cpuTime = await cpuTimeOf(operator.page);
    const before = await cpuTime();
    const last = await publishLike(original, connection);
    await operator.page.getByTitle(last).waitFor();
    const measured = await operator.page.evaluate(() => window.measured);
    const busy = ((await cpuTime()) - before) / SECONDS;
    console.log(`${RATE * SECONDS} events in ${SECONDS} s: busy ${busy.toFixed(2)}, ${JSON.stringify(measured)}`);
    expect(busy, "the page leaves most of a CPU to its reader").toBeLessThan(MAX_BUSY);
    expect(measured.frames, "the page draws").toBeGreaterThan(SECONDS);
    expect(measured.longestGap, "the page does not freeze").toBeLessThan(MAX_FRAME_GAP);
    expect(await operator.page.locator("tbody tr").count()).toBe(100);
    const clicked = Date.now();
    await operator.page.getByRole("button", { name: "Pause" }).click();
    await operator.sees(/Paused/);
    expect(Date.now() - clicked, "a click has its effect").toBeLessThan(5_000);
    await operator.inspect("load");
  } finally {
    await connection.close();
    await Promise.all([world.pipeline.fetcher.start(), world.pipeline.judge.start()]);
  }
});

/** Returns the CPU time that the page has used, in seconds. */
async function cpuTimeOf(page: Page): Promise<() => Promise<number>> {
  const session = await page.context().newCDPSession(page);
  await session.send("Performance.enable", { timeDomain: "threadTicks" });
  return async () => {
    const { metrics } = await session.send("Performance.getMetrics");
    return metrics.find(({ name }) => name === "TaskDuration")?.value ?? NaN;
  };
}

type Connection = Awaited<ReturnType<World["nats"]>>;
interface Queued {
  id: string;
  payload: Buffer;
}

/** Submits once, and returns the event that the ingress published. */
async function oneQueuedEvent(connection: Connection): Promise<Queued> {
  const subscription = connection.subscribe("submission.queued.*", { max: 1 });
  await connection.flush();
  const id = await world.judged(RIGHT);
  for await (const message of subscription) return { id, payload: Buffer.from(message.data) };
  throw new Error("the ingress published no event");
}

/** Publishes the same event with other ids, evenly over the time. Returns the last id. */
async function publishLike({ id, payload }: Queued, connection: Connection): Promise<string> {
  const place = payload.indexOf(id);
  let other = id;
  const start = Date.now();
  for (let sent = 0; sent < RATE * SECONDS;) {
    const due = Math.min(RATE * SECONDS, Math.floor(((Date.now() - start) * RATE) / 1_000));
    for (; sent < due; sent += 1) {
      other = `k97${randomBytes(14).toString("hex")}`;
      payload.write(other, place);
      connection.publish(`submission.queued.${other}`, Uint8Array.from(payload));
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  await connection.flush();
  return other;
}

interface Measured {
  frames: number;
  longestGap: number;
  longTasks: number;
  longestTask: number;
}

/** Runs in the page: measures the time between frames, and tasks of more than 50 ms. */
function measure(): void {
  const measured: Measured = { frames: 0, longestGap: 0, longTasks: 0, longestTask: 0 };
  window.measured = measured;
  let last = performance.now();
  const frame = (now: number) => {
    measured.frames += 1;
    measured.longestGap = Math.max(measured.longestGap, Math.round(now - last));
    last = now;
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
  new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) {
      measured.longTasks += 1;
      measured.longestTask = Math.max(measured.longestTask, Math.round(duration));
    }
  }).observe({ type: "longtask" });
}

declare global {
  interface Window {
    measured: Measured;
  }
}
