import { afterAll, beforeAll, expect, test } from "vitest";
import { PHONE, type Operator } from "./operator";
import { RIGHT, World, WRONG } from "./world";

let world: World;
let passed: string;
let failed: string;

beforeAll(async () => {
  world = await World.start();
  passed = await world.judged(RIGHT);
  failed = await world.judged(WRONG);
});
afterAll(() => world.close());

const rows = (operator: Operator) => operator.page.getByRole("table", { name: "Submissions" }).locator("tbody tr");

test("list shows a new submission until its verdict, without a reload", async () => {
  const operator = await world.open("/submissions");
  await operator.page.getByTitle(passed).waitFor();
  const id = await world.submit(RIGHT);
  const row = rows(operator).filter({ has: operator.page.getByTitle(id) });
  await row.getByText("passed", { exact: true }).waitFor();
  expect(await rows(operator).first().innerText()).toContain(id.slice(-6));
});

test("filters are those of the terminal, and part of the address", async () => {
  const operator = await world.open("/submissions");
  const { page } = operator;
  await page.getByTitle(passed).waitFor();
  await page.getByLabel("Verdict").selectOption("failed");
  await page.getByTitle(passed).waitFor({ state: "hidden" });
  await page.getByTitle(failed).waitFor();
  await page.reload();
  await page.getByTitle(failed).waitFor();
  await page.getByText("More filters").click();
  await page.getByText("gavel tap --status failed").waitFor();
  await page.getByLabel("Expression").fill("passed == total");
  await operator.sees(/No submission .* matches the filters/);
  await page.getByRole("button", { name: "Clear" }).click();
  await page.getByTitle(passed).waitFor();
});

test("invalid expression is answered with the parser's message", async () => {
  const operator = await world.open("/submissions?where=status+%3D%3D+and");
  operator.expect(/status of 400/);
  await operator.page.getByRole("alert").first().waitFor();
  await operator.inspect("invalid-expression");
});

test("paused list stays as it is", async () => {
  const operator = await world.open("/submissions");
  await operator.page.getByTitle(passed).waitFor();
  await operator.page.getByRole("button", { name: "Pause" }).click();
  const id = await world.judged(RIGHT);
  await operator.sees(/Paused; [1-9]\d* changes? since/);
  expect(await operator.page.getByTitle(id).count()).toBe(0);
  await operator.page.getByRole("button", { name: "Continue" }).click();
  await operator.page.getByTitle(id).waitFor();
});

test("page of a submission has its timeline, tests, callbacks and commands", async () => {
  const operator = await world.open("/submissions");
  const { page } = operator;
  await page.getByTitle(failed).click();
  await page.getByRole("heading", { level: 1, name: failed }).waitFor();
  const timeline = page.getByRole("table", { name: "Timeline of generation 1" });
  await timeline.getByText("reported").waitFor();
  const events = await timeline.locator("tbody th").allInnerTexts();
  expect(events).toEqual(["queued", "ready", "running", "judged", "reported"]);
  const tests = page.getByRole("table", { name: "Tests of generation 1" });
  expect(await tests.locator("tbody tr").first().innerText()).toMatch(/failed.*exit 0.*ms.*ms.*[KM]iB/s);
  await page.getByRole("table", { name: "Callbacks of generation 1" }).getByText("200").first().waitFor();
  await page.getByText(`gavel trace ${failed}`).waitFor();
  expect(await page.content(), "neither the source nor test data without the key").not.toContain("print(-1)");
});

test("commands are copied", async () => {
  const operator = await world.open(`/submissions/${passed}`, { permissions: ["clipboard-read", "clipboard-write"] });
  const { page } = operator;
  const command = page.locator(".command").filter({ hasText: `gavel trace ${passed}` });
  await command.getByRole("button").click();
  await command.getByText("Copied").waitFor();
  expect(await page.evaluate(() => navigator.clipboard.readText())).toContain(`gavel trace ${passed}`);
});

test("source is shown with the key only, which is never in a URL", async () => {
  const operator = await world.open(`/submissions/${failed}`);
  const { page } = operator;
  await operator.enterKey(world.key);
  await page.getByRole("button", { name: "Show source and output" }).click();
  await operator.sees("print(-1)");
  expect(operator.requests.filter((request) => request.includes(world.key))).toEqual([]);
  await operator.inspect("source");
  await page.getByRole("button", { name: "Forget the key" }).click();
  await page.getByText("print(-1)").waitFor({ state: "hidden" });
});

test("unknown submission is explained", async () => {
  const operator = await world.open("/submissions/k97unknown");
  operator.expect(/status of 404/);
  await operator.page.getByRole("alert").waitFor();
  await operator.inspect("unknown-submission");
});

test.each([
  ["light", { colorScheme: "light" }],
  ["dark", { colorScheme: "dark" }],
  ["phone", { ...PHONE, colorScheme: "light" }],
] as const)("pages in %s have no serious accessibility problem", async (name, options) => {
  const operator = await world.open("/submissions?errors=", options);
  await operator.page.getByTitle(failed).waitFor();
  await operator.page.getByText("More filters").click();
  await operator.inspect(`submissions-${name}`);
  await operator.page.getByTitle(failed).click();
  await operator.sees(/Ended/);
  await operator.inspect(`submission-${name}`);
});
