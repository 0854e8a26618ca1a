import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import type { Fault } from "../dev-server";
import { PYTHON, RIGHT, SLOW, UNHURRIED } from "./programs";
import { ADDITION, addQuestion } from "./questions";
import { type Call } from "./recording-proxy";
import { World } from "./world";

let world: World;

beforeAll(async () => {
  world = await World.start();
  await addQuestion(world.app, "addition", ADDITION);
  await addQuestion(world.app, "slow", ADDITION.slice(0, 1), { timeLimitSeconds: 5 });
});
afterAll(() => world.close());
beforeEach(() => world.proxy.forget());

/** Injects a fault into the answers of the app until the end of the test. */
function fault(fault: Fault): { end: () => void } {
  const end = () => world.app.faults.clear();
  world.app.faults.set(fault);
  onTestFinished(end);
  return { end };
}

const isResult = (call: Call) => call.path === "/coding/submission-result";
const isAccepted = (call: Call) => call.status === 200;

describe("a verdict arrives although", () => {
  test("the judge is killed while it runs the program", async () => {
    const { judge } = world.pipeline;
    const page = await world.open("slow");
    const id = await page.submit(PYTHON, SLOW);
    await page.isAt("Running");
    await judge.kill();
    expect(judge.log.filter((line) => line.includes('"judged"') && line.includes(id))).toEqual([]);
    await judge.start();
    await page.announces("Running the tests.");
    await page.announces("Passed, 1 / 1 passed");
  });

  test("the app answers 503 for a while", async () => {
    const unavailable = fault({ status: 503 });
    const page = await world.open("addition");
    await page.submit(PYTHON, RIGHT);
    await world.proxy.answered((call) => call.status === 503);
    await page.isAt("Queued");
    unavailable.end();
    await page.announces("Passed, 3 / 3 passed");
  });

  test("the app answers 503 to results for a while", async () => {
    const unavailable = fault({ status: 503, paths: /result/ });
    const page = await world.open("addition");
    await page.submit(PYTHON, UNHURRIED);
    await world.proxy.answered((call) => isResult(call) && call.status === 503, 2);
    await page.isAt("Running");
    unavailable.end();
    await page.announces("Passed, 3 / 3 passed");
  });

  test("the answer to it is lost, and it is sent again", async () => {
    fault({ dropAnswer: true, paths: /result/, times: 1 });
    const page = await world.open("addition");
    await page.submit(PYTHON, RIGHT);
    await page.announces("Passed, 3 / 3 passed");
    const before = await page.result.innerText();
    await world.proxy.answered((call) => isResult(call) && isAccepted(call));
    expect(world.proxy.calls.filter(isResult)).toHaveLength(2);
    await page.learner.page.reload();
    await page.announces("Passed, 3 / 3 passed");
    expect(await page.result.innerText()).toBe(before);
  });

  test("the call that reports running comes after it", async () => {
    const running = world.proxy.hold(/running/);
    const page = await world.open("addition");
    await page.submit(PYTHON, UNHURRIED);
    await running.first;
    await page.announces("Passed, 3 / 3 passed");
    const before = await page.result.innerText();
    running.release();
    await world.proxy.answered((call) => call.path.endsWith("running") && isAccepted(call));
    await page.learner.page.reload();
    await page.announces("Passed, 3 / 3 passed");
    expect(await page.result.innerText()).toBe(before);
  });

  test("NATS is down when the learner submits", async () => {
    await world.pipeline.nats.kill();
    const page = await world.open("addition");
    await page.submit(PYTHON, RIGHT);
    await page.isAt("Queued");
    await world.pipeline.nats.start();
    await page.announces("Passed, 3 / 3 passed");
  });

  test("the page is offline when it comes", async () => {
    const result = world.proxy.hold(/result/);
    const page = await world.open("addition");
    await page.submit(PYTHON, UNHURRIED);
    await page.isAt("Running");
    page.learner.expect(/WebSocket|ERR_INTERNET_DISCONNECTED/);
    await page.learner.setOffline(true);
    world.app.disconnectClients();
    await page.learner.page.getByText("Reconnecting…").waitFor();
    result.release();
    await world.proxy.answered((call) => isResult(call) && isAccepted(call));
    await page.isAt("Running");
    await page.learner.inspect("offline");
    await page.learner.setOffline(false);
    await page.announces("Passed, 3 / 3 passed");
    await page.learner.page.getByText("Reconnecting…").waitFor({ state: "hidden" });
  });
});
