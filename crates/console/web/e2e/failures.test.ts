import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { RIGHT, SLOW, World } from "./world";

let world: World;

beforeAll(async () => {
  world = await World.start();
  await world.judged(RIGHT);
});
afterAll(() => world.close());

describe("the overview names the problem and recovers when", () => {
  test("the judge is killed", async () => {
    const { judge } = world.pipeline;
    const operator = await world.open("/");
    await operator.sees("All is well");
    const id = await world.submit(SLOW);
    await operator.page.getByRole("table", { name: "Judges" }).getByRole("link").waitFor();
    await judge.kill();
    await operator.page.getByRole("heading", { level: 1, name: /problem/ }).waitFor();
    const problem = operator.page.locator(".problems .problem").first();
    expect(await problem.innerText()).toMatch(/judge/);
    await operator.inspect("judge-killed");
    await judge.start();
    await operator.page.getByRole("heading", { level: 1, name: "All is well" }).waitFor();
    await world.ended(id);
  });

  test("Convex refuses the results for a while", async () => {
    const operator = await world.open("/", { colorScheme: "dark" });
    await operator.sees("All is well");
    world.convex.fault = { path: /result/, status: 503 };
    onTestFinished(() => void (world.convex.fault = undefined));
    const id = await world.submit(RIGHT);
    await operator.page.getByRole("heading", { level: 1, name: /problem/ }).waitFor();
    await operator.sees(/Convex.*503/);
    await operator.inspect("convex-refuses");
    const submission = await world.open(`/submissions/${id}`);
    await submission.sees("passed, not reported");
    await submission.sees(/Not ended/);
    await submission.page
      .getByRole("table", { name: /Callbacks/ })
      .getByText("503")
      .first()
      .waitFor();
    world.convex.fault = undefined;
    await submission.sees(/Ended .* after it was queued/);
    await operator.page.getByRole("heading", { level: 1, name: "All is well" }).waitFor();
  });

  test("a stream is full", async () => {
    const { fetcher } = world.pipeline;
    await fetcher.kill();
    const connection = await world.nats();
    onTestFinished(() => connection.close());
    const restore = await limitMessages(connection, "SUB_QUEUED", 2);
    const statuses = [];
    for (let n = 0; n < 6; n += 1)
      statuses.push(
        await world.submit(RIGHT).then(
          () => 202,
          () => 503,
        ),
      );
    expect(statuses).toContain(503);
    const operator = await world.open("/");
    await operator.page.getByRole("heading", { level: 1, name: /problem/ }).waitFor();
    await operator.sees(/SUB_QUEUED|fetcher/);
    await operator.inspect("stream-full");
    await restore();
    await fetcher.start();
    await operator.page.getByRole("heading", { level: 1, name: "All is well" }).waitFor();
  });

  test("NATS stops and starts again", async () => {
    const { nats } = world.pipeline;
    const operator = await world.open("/");
    await operator.sees("All is well");
    const list = await world.open("/submissions");
    await list.sees("passed");
    await nats.kill();
    await operator.page.getByRole("heading", { level: 1, name: "1 problem" }).waitFor();
    await operator.sees("Not live");
    await operator.sees(/NATS/);
    await list.page.getByRole("alert").waitFor();
    expect(await list.page.getByRole("table").getByRole("row").count(), "the last known state stays").toBeGreaterThan(
      1,
    );
    await operator.inspect("nats-stopped");
    await nats.start();
    await operator.page.getByRole("heading", { level: 1, name: "All is well" }).waitFor();
    const id = await world.submit(RIGHT);
    await list.page
      .getByRole("row")
      .filter({ has: list.page.getByTitle(id) })
      .getByText("passed", { exact: true })
      .waitFor();
    await list.page.getByRole("alert").waitFor({ state: "hidden" });
  });
});

test("list catches up after the console was killed", async () => {
  const operator = await world.open("/submissions");
  operator.expect(/ERR_|Failed to load|EventSource/);
  await operator.sees("passed");
  await world.console.kill();
  await operator.sees("Not live");
  const id = await world.submit(RIGHT);
  await world.console.start();
  await world.ended(id);
  await operator.page.getByTitle(id).waitFor();
  await operator.page.getByText("Live", { exact: true }).waitFor();
});

/** Sets the limit of a stream. Returns what sets it back. */
async function limitMessages(
  connection: Awaited<ReturnType<World["nats"]>>,
  stream: string,
  max_msgs: number,
): Promise<() => Promise<void>> {
  const ask = async (subject: string, body?: unknown) => {
    const answer = await connection.request(subject, body === undefined ? "" : JSON.stringify(body), {
      timeout: 5_000,
    });
    const json: { config: Record<string, unknown>; error?: { description: string } } = answer.json();
    if (json.error) throw new Error(json.error.description);
    return json.config;
  };
  const config = await ask(`$JS.API.STREAM.INFO.${stream}`);
  await ask(`$JS.API.STREAM.UPDATE.${stream}`, { ...config, max_msgs });
  return async () => void (await ask(`$JS.API.STREAM.UPDATE.${stream}`, config));
}
