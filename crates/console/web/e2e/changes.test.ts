import { afterAll, beforeAll, expect, test } from "vitest";
import { PHONE, type Operator } from "./operator";
import { RIGHT, World, WRONG } from "./world";

let world: World;

beforeAll(async () => {
  world = await World.start();
});
afterAll(() => world.close());

/** Makes dead letters: Convex refuses the results permanently. */
async function deadLetters(count: number): Promise<string[]> {
  world.convex.fault = { path: /result/, status: 422 };
  try {
    return await Promise.all(Array.from({ length: count }, () => world.judged(RIGHT)));
  } finally {
    world.convex.fault = undefined;
  }
}

/** Opens a page with the key. */
async function openWithKey(path: string, options = {}): Promise<Operator> {
  const operator = await world.open(path, options);
  await operator.enterKey(world.key);
  await operator.page.getByRole("button", { name: "Forget the key" }).waitFor();
  return operator;
}

test("dead letters are grouped by cause, shown, retried and dropped", async () => {
  const ids = await deadLetters(4);
  const operator = await openWithKey("/dead-letters");
  const { page } = operator;
  const dialog = page.getByRole("dialog");
  const group = page.getByRole("article");
  await group.getByRole("heading", { name: "4 reporter" }).waitFor();
  expect(await group.count()).toBe(1);
  await group.getByRole("button", { name: "Show" }).click();
  await operator.inspect("dead-letters");

  await group.getByRole("button", { name: `Details of ${ids[0]}` }).click();
  await dialog.getByText(/422/).first().waitFor();
  await operator.inspect("dead-letter");
  await page.keyboard.press("Escape");

  // One: nothing happens until it is confirmed.
  await group.getByLabel(`Select ${ids[0]}`).check();
  await group.getByRole("button", { name: "Retry 1 selected" }).click();
  await dialog.getByRole("button", { name: "Cancel" }).click();
  await group.getByRole("heading", { name: "4 reporter" }).waitFor();
  await group.getByRole("button", { name: "Retry 1 selected" }).click();
  await dialog.getByRole("button", { name: "Retry" }).click();
  await dialog.getByText("1 started.").waitFor();
  await operator.inspect("dead-letter-retried");
  await dialog.getByRole("button", { name: "Close" }).click();
  await group.getByRole("heading", { name: "3 reporter" }).waitFor();
  await world.ended(ids[0] ?? "", 2);

  await group.getByLabel(`Select ${ids[1]}`).check();
  await group.getByRole("button", { name: "Drop 1 selected" }).click();
  await dialog.getByRole("button", { name: "Drop" }).click();
  await dialog.getByText("1 dropped.").waitFor();
  await dialog.getByRole("button", { name: "Close" }).click();
  await group.getByRole("heading", { name: "2 reporter" }).waitFor();

  // The group.
  await group.getByRole("button", { name: "Retry all 2" }).click();
  await dialog.getByRole("button", { name: "Retry" }).click();
  await dialog.getByText("2 started.").waitFor();
  await dialog.getByRole("button", { name: "Close" }).click();
  await operator.sees("There are no dead letters.");
});

test("new dead letter appears without a reload, with its problem on the overview", async () => {
  const operator = await world.open("/dead-letters");
  await operator.sees("There are no dead letters.");
  const [id = ""] = await deadLetters(1);
  await operator.page.getByRole("heading", { name: "1 reporter" }).waitFor();
  await operator.page.getByRole("button", { name: "Show" }).click();
  await operator.page.getByRole("link", { name: id }).click();
  await operator.sees("dead letter");
  await operator.sees(/failed permanently at the reporter/);
});

test("rejudge by id tries first, asks, and reports", async () => {
  const [first, second] = await Promise.all([world.judged(RIGHT), world.judged(WRONG)]);
  const operator = await openWithKey(`/submissions/${first}`);
  const { page } = operator;
  await page.getByRole("link", { name: "Rejudge…" }).click();
  expect(await page.getByLabel("Submission ids").inputValue()).toBe(first);
  await page.getByLabel("Submission ids").fill(`${first}\n${second}, k97unknown`);
  await page.getByRole("button", { name: "Dry run" }).click();
  await operator.sees(/2 submissions would be judged again/);
  await operator.sees(/1 refused/);
  await operator.inspect("rejudge-dry-run");
  await page.getByRole("button", { name: "Rejudge 2 submissions" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("button", { name: "Rejudge" }).click();
  await dialog.getByText(/^2 started/).waitFor();
  await operator.inspect("rejudge-done");
  await dialog.getByRole("link", { name: first }).click();
  await operator.sees("Generation 2");
  await operator.sees("Generation 1");
});

test("rejudge by question and time covers what the dry run has shown", async () => {
  const ids = await Promise.all([world.judged(RIGHT, "maximum"), world.judged(WRONG, "maximum")]);
  const operator = await openWithKey("/rejudge");
  const { page } = operator;
  await page.getByLabel("By question").check();
  await page.getByLabel("Question id").fill("maximum");
  await page.getByLabel("Queued since").fill("10m");
  await page.getByLabel("Reason to record").fill("new test cases");
  await page.getByRole("button", { name: "Dry run" }).click();
  await operator.sees(/2 submissions would be judged again/);
  await page.getByRole("button", { name: "Rejudge 2 submissions" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("button", { name: "Rejudge" }).click();
  await dialog.getByText(/^2 started/).waitFor();
  await Promise.all(ids.map((id) => world.ended(id, 2)));
});

test("incomplete form is explained, and nothing is sent", async () => {
  const operator = await openWithKey("/rejudge");
  await operator.page.getByRole("button", { name: "Dry run" }).click();
  await operator.sees("Enter the id of at least one submission.");
  expect(operator.requests.filter((request) => request.startsWith("POST"))).toEqual([]);
});

test("wrong key is refused, and allows nothing", async () => {
  const operator = await world.open("/rejudge");
  const { page } = operator;
  operator.expect(/status of 401/);
  expect(await page.getByRole("button", { name: "Dry run" }).isDisabled()).toBe(true);
  await operator.enterKey("this-is-a-wrong-key");
  await page.getByRole("dialog").getByRole("alert").waitFor();
  await page.keyboard.press("Escape");
  expect(await page.getByRole("button", { name: "Dry run" }).isDisabled()).toBe(true);
});

test("console without a key is read-only", async () => {
  await deadLetters(1);
  const console = await world.readOnlyConsole();
  try {
    const operator = await world.openAt(console, "/dead-letters", { ...PHONE });
    await operator.sees(/This console is read-only/);
    expect(await operator.page.getByRole("button", { name: /Retry|Drop|Enter the key/ }).count()).toBe(0);
    await operator.inspect("read-only");
    const answer = await fetch(`${console.url}/api/dead-letters/drop`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${world.key}` },
      body: JSON.stringify({ sequences: [1] }),
    });
    expect(answer.status).toBe(403);
  } finally {
    await console.stop();
  }
});

test.each(["light", "dark"] as const)("pages in %s have no serious accessibility problem", async (colorScheme) => {
  const operator = await openWithKey("/dead-letters", { ...PHONE, colorScheme });
  await operator.page.getByRole("button", { name: "Show" }).first().click();
  await operator.page.getByLabel("Select all listed").check();
  await operator.inspect(`dead-letters-phone-${colorScheme}`);
  await operator.page.getByRole("link", { name: "Rejudge" }).click();
  await operator.inspect(`rejudge-phone-${colorScheme}`);
});
