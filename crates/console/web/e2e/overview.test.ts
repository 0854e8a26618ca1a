import { afterAll, beforeAll, expect, test } from "vitest";
import { PHONE } from "./operator";
import { RIGHT, SLOW, World, WRONG } from "./world";

let world: World;

beforeAll(async () => {
  world = await World.start();
  for (const program of [RIGHT, WRONG]) await world.judged(program);
});
afterAll(() => world.close());

test("overview of a healthy pipeline is quiet, and shows its services", async () => {
  const { page } = await world.open("/");
  await page.getByRole("heading", { level: 1, name: "All is well" }).waitFor();
  const services = page.getByRole("region", { name: "Pipeline" }).getByRole("heading", { level: 3 });
  expect(await services.allInnerTexts()).toEqual(["ingress", "fetcher", "judge", "reporter"]);
  const judges = page.getByRole("table", { name: "Judges" });
  expect(await judges.getByRole("row").count()).toBe(2);
  await page.getByText("Convex: reachable").first().waitFor();
});

test("overview shows what a judge runs, and links to it", async () => {
  const operator = await world.open("/");
  await operator.sees("All is well");
  const id = await world.submit(SLOW);
  const running = operator.page.getByRole("table", { name: "Judges" }).getByRole("link");
  await running.waitFor();
  expect(await running.getAttribute("title")).toBe(id);
  await running.click();
  await operator.page.getByRole("heading", { level: 1, name: id }).waitFor();
});

test("charts have their numbers as text, and keep them over a reload", async () => {
  const operator = await world.open("/");
  const chart = operator.page.locator(".chart").filter({ hasText: "Verdicts per minute" });
  await chart.getByText(/[1-9] passed, [1-9] failed, 0 errors/).waitFor();
  await operator.page.reload();
  await chart.getByText(/[1-9] passed, [1-9] failed, 0 errors/).waitFor();
  await chart.getByText("As a table").click();
  expect(await chart.getByRole("table").getByRole("row").count()).toBeGreaterThan(59);
  await operator.inspect("overview-table");
});

test.each([
  ["overview-light", { colorScheme: "light" }],
  ["overview-dark", { colorScheme: "dark" }],
  ["overview-phone", { ...PHONE, colorScheme: "dark" }],
] as const)("page %s has no serious accessibility problem", async (name, options) => {
  const operator = await world.open("/", options);
  await operator.sees("All is well");
  await operator.sees(/passed, /);
  await operator.inspect(name);
});

test("chosen theme is kept, and is independent of the system", async () => {
  const operator = await world.open("/", { colorScheme: "light" });
  await operator.page.getByLabel("Theme").selectOption("dark");
  await operator.page.reload();
  await operator.sees("All is well");
  const background = () => operator.page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
  expect(await background()).toBe("rgb(18, 19, 23)");
});

test("pages are reached with the keyboard alone", async () => {
  const operator = await world.open("/");
  const { page } = operator;
  await operator.sees("All is well");
  const skip = page.getByRole("link", { name: "Skip to the content" });
  await operator.tabTo(skip);
  await page.keyboard.press("Enter");
  expect(await page.evaluate(() => document.activeElement?.id)).toBe("main");
  for (const name of ["Submissions", "Dead letters", "Rejudge", "Overview"]) {
    await page.evaluate(() => (document.activeElement as HTMLElement).blur());
    await operator.tabTo(page.getByRole("navigation").getByRole("link", { name }));
    await page.keyboard.press("Enter");
    await page.waitForFunction((title) => document.title.startsWith(title), name);
    expect(await page.evaluate(() => document.activeElement?.id), "the new page has the focus").toBe("main");
  }
});

test("policy refuses scripts and styles that are not the console's own", async () => {
  const answer = await fetch(`${world.console.url}/`);
  const policy = answer.headers.get("content-security-policy") ?? "";
  expect(policy).toContain("default-src 'none'");
  expect(policy).not.toMatch(/unsafe|\*|https?:/);
  const html = await answer.text();
  expect(html).not.toMatch(/\sstyle=|<style|\son\w+=|<script(?![^>]*\ssrc=)/);
});
