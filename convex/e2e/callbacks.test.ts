import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { api } from "../example/convex/_generated/api";
import { callbackId } from "../src/testing/calls";
import { signedCall } from "./callbacks";
import { withClientOf } from "./learner-client";
import { PYTHON, RIGHT } from "./programs";
import { ADDITION, addQuestion, HIDDEN } from "./questions";
import { send, type Call } from "./recording-proxy";
import type { SolvePage } from "./solve-page";
import { World } from "./world";

const RESULT = "/coding/submission-result";
const RUNNING = "/coding/submission-running";
const RESULTS = 1_000;
/** A Gavel process sends 8 at a time by default. */
const SENDERS = 100;

let world: World;
let questionId: string;

beforeAll(async () => {
  world = await World.start();
  questionId = await addQuestion(world.app, "addition", ADDITION);
});
afterAll(() => world.close());

/** A page that shows a passed submission, and the calls that Gavel made for it. */
async function passedSubmission(): Promise<{ page: SolvePage; id: string; result: Call; testCases: Call }> {
  world.proxy.forget();
  const page = await world.open("addition");
  const id = await page.submit(PYTHON, RIGHT);
  await page.announces("Passed, 3 / 3 passed");
  const isOf = (path: string) => (call: Call) => call.path === path && call.status === 200;
  const result = await world.proxy.answered(isOf(RESULT));
  const testCases = await world.proxy.answered(isOf("/coding/testcases"));
  return { page, id, result, testCases };
}

/** Posts a call to the app directly, and returns the status of its answer. */
async function post(call: Pick<Call, "path" | "headers" | "body">): Promise<number> {
  return (await send(world.app.siteUrl, call)).status;
}

/** Posts calls, many at a time, and returns the statuses of the answers. */
async function postAll(calls: Call[]): Promise<number[]> {
  const statuses: number[] = [];
  const remaining = calls.values();
  const sender = async () => {
    for (const call of remaining) statuses.push(await post(call));
  };
  await Promise.all(Array.from({ length: SENDERS }, sender));
  return statuses;
}

describe("the page stays as it is after", () => {
  test("calls that Gavel has not made, or made before", async () => {
    const { page, id, result, testCases } = await passedSubmission();
    const before = await page.result.innerText();
    const failed = { submissionId: id, status: "failed", passedCount: 0, totalCount: 3 };
    const { secrets } = world.pipeline;
    const sign = (parts: Partial<Parameters<typeof signedCall>[1]>, others: Partial<typeof secrets> = {}) =>
      signedCall({ ...secrets, ...others }, { path: RESULT, id: callbackId("result", id, 2), body: failed, ...parts });
    const unsigned = sign({});
    for (const name of Object.keys(unsigned.headers)) if (name.startsWith("webhook-")) delete unsigned.headers[name];

    expect({
      replayed: await post(result),
      tampered: await post({ ...result, body: result.body.replace("passed", "failed") }),
      stale: await post(sign({ at: new Date(Date.now() - 10 * 60_000) })),
      forged: await post(sign({}, { signingSecret: "whsec_bm90IHRoZSBzZWNyZXQgb2YgdGhpcyBhcHA=" })),
      "of a stranger": await post(sign({}, { token: "guessed" })),
      unsigned: await post(unsigned),
      "a late running": await post(sign({ path: RUNNING, id: callbackId("running", id), body: { submissionId: id } })),
      "another result of the same generation": await post(sign({ id: callbackId("result", id) })),
      "a body for another id": await post(sign({ id: callbackId("result", "another", 2) })),
      "of the other kind": await post(sign({ path: "/coding/personalized-submission-result" })),
      "an unknown submission": await post(
        sign({ id: callbackId("result", "unknown"), body: { ...failed, submissionId: "unknown" } }),
      ),
    }).toEqual({
      replayed: 200,
      tampered: 401,
      stale: 401,
      forged: 401,
      "of a stranger": 401,
      unsigned: 401,
      "a late running": 200,
      "another result of the same generation": 409,
      "a body for another id": 400,
      "of the other kind": 422,
      "an unknown submission": 422,
    });
    expect(await page.result.innerText()).toBe(before);
    await page.learner.page.reload();
    await page.announces("Passed, 3 / 3 passed");
    expect(await page.result.innerText()).toBe(before);

    const replayed = await send(world.app.siteUrl, testCases);
    expect(replayed.status).toBe(401);
    expect(await replayed.text()).not.toContain(HIDDEN.stdin.trim());
  });
});

describe("the page shows", () => {
  test("the last of 1,000 results that arrive at once, out of order", async () => {
    const page = await world.open("addition");
    const submissions = 10;
    const ids = await withClientOf(page.learner, (client) =>
      Promise.all(
        Array.from({ length: submissions }, () =>
          client.mutation(api.judge.submit, { questionId, languageId: PYTHON, sourceCode: RIGHT }),
        ),
      ),
    );
    await page.historyIs(Array<RegExp>(submissions).fill(/Passed.*3 \/ 3 passed/s));

    const last = RESULTS / submissions;
    const generations = Array.from({ length: last }, (_, index) => index + 2);
    const calls = ids.flatMap((submissionId) =>
      generations.map((generation) =>
        signedCall(world.pipeline.secrets, {
          path: RESULT,
          id: callbackId("result", submissionId, generation),
          body: {
            submissionId,
            status: "failed",
            passedCount: generation,
            totalCount: 200,
            firstFailureIndex: generation,
          },
        }),
      ),
    );
    expect(calls).toHaveLength(RESULTS);
    expect(await postAll(shuffled(calls))).toEqual(Array(RESULTS).fill(200));
    await page.historyIs(Array<RegExp>(submissions).fill(new RegExp(`Failed.*${last + 1} / 200 passed`, "s")));
    await page.learner.inspect("flood");
  });
});

/** The same items in another order, the same in each run. */
function shuffled<T>(items: T[]): T[] {
  // 387 and 1,000 have no common divisor, so each index occurs once.
  return items.map((_, index) => items[(index * 387) % items.length]!);
}
