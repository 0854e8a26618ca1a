import { ConvexError, type Value } from "convex/values";
import type { FunctionArgs, FunctionReference, PaginationResult } from "convex/server";
import { describe, expect, test, vi } from "vitest";
import { api, internal } from "../fixture/convex/_generated/api";
import { closeGate, connect, startFixture } from "../testing";

// These tests use the client of the `convex` package over a real socket.

/** Waits until an assertion holds. */
const eventually = (assertion: () => void | Promise<void>) => vi.waitFor(assertion, { timeout: 5000, interval: 10 });

describe("a subscription", () => {
  test("gets the value, and a new one when a mutation changes it", async () => {
    const client = connect(await startFixture());
    const seen: string[][] = [];
    client.onUpdate(api.notes.texts, { author: "ada" }, (value) => seen.push(value));
    await eventually(() => expect(seen).toEqual([[]]));
    await client.mutation(api.notes.add, { author: "ada", text: "one" });
    // The mutation resolves when its effect is visible.
    expect(seen).toEqual([[], ["one"]]);
  });

  test("gets nothing when data changes but its value does not", async () => {
    const client = connect(await startFixture());
    const seen: string[][] = [];
    client.onUpdate(api.notes.texts, { author: "ada" }, (value) => seen.push(value));
    await eventually(() => expect(seen).toHaveLength(1));
    await client.mutation(api.notes.add, { author: "bob", text: "one" });
    await client.mutation(api.notes.add, { author: "ada", text: "two" });
    expect(seen).toEqual([[], ["two"]]);
  });

  test("sees what another client, an HTTP action, the scheduler and a test write", async () => {
    const server = await startFixture();
    const client = connect(server);
    const seen: Record<string, string[]> = {};
    for (const author of ["bob", "http", "later", "test"]) {
      client.onUpdate(api.notes.texts, { author }, (value) => (seen[author] = value));
    }
    await eventually(() => expect(Object.keys(seen)).toHaveLength(4));
    const other = connect(server);
    await other.mutation(api.notes.add, { author: "bob", text: "b" });
    await other.mutation(api.notes.addLater, { author: "later", text: "l", delayMs: 50 });
    await fetch(`${server.siteUrl}/notes`, { method: "POST", body: "h" });
    await server.run(internal.notes.addInternally, { author: "test", text: "t" });
    await eventually(() => expect(seen).toEqual({ bob: ["b"], http: ["h"], later: ["l"], test: ["t"] }));
  });

  test("fails as the query fails, and recovers with it", async () => {
    const client = connect(await startFixture());
    const errors: Error[] = [];
    const report = (error: Error) => errors.push(error);
    client.onUpdate(api.notes.fail, { how: "plainly" }, () => undefined, report);
    client.onUpdate(api.notes.fail, { how: "with data" }, () => undefined, report);
    await eventually(() => expect(errors).toHaveLength(2));
    expect(errors[0]?.message).toMatch(/\[Request ID: \w+\] Server Error\s+Uncaught Error: something broke/);
    expect((errors[1] as ConvexError<Value>).data).toEqual({ code: "broken", count: 2n });
    await client.mutation(api.notes.add, { author: "ada", text: "changes nothing" });
    expect(errors).toHaveLength(2);
  });

  test("gets a value of several megabytes", async () => {
    const client = connect(await startFixture());
    const value = await client.query(api.notes.large, { length: 3_000_000 });
    expect(value).toBe("é".repeat(3_000_000));
  });
});

describe("a mutation", () => {
  test("that fails changes nothing and reports its ConvexError", async () => {
    const client = connect(await startFixture());
    const failed = client.mutation(api.notes.failToAdd, { text: "lost" });
    await expect(failed).rejects.toThrow(ConvexError);
    await expect(failed).rejects.toMatchObject({ data: { code: "refused", text: "lost" } });
    expect(await client.query(api.notes.texts, { author: "failing" })).toEqual([]);
  });

  test("with wrong arguments fails", async () => {
    const client = connect(await startFixture());
    const wrong = { author: "ada" } as unknown as { author: string; text: string };
    await expect(client.mutation(api.notes.add, wrong)).rejects.toThrow(/Missing required field `text`/);
  });

  test("runs in the order of the calls", async () => {
    const client = connect(await startFixture());
    const texts = Array.from({ length: 20 }, (_, i) => String(i));
    await Promise.all(texts.map((text) => client.mutation(api.notes.add, { author: "ada", text })));
    expect(await client.query(api.notes.texts, { author: "ada" })).toEqual(texts);
  });

  test("that is running when the connection breaks runs once, and its caller gets the answer", async () => {
    const server = await startFixture();
    const client = connect(server);
    const gate = closeGate();
    const answer = client.mutation(api.notes.addSlowly, { author: "ada", text: "once" });
    await gate.arrived;
    server.disconnectClients();
    await eventually(() => expect(client.connectionState().isWebSocketConnected).toBe(false));
    await eventually(() => expect(client.connectionState().isWebSocketConnected).toBe(true));
    gate.open();
    expect(await answer).toBe("once");
    expect(gate.runs).toBe(1);
    expect(await client.query(api.notes.texts, { author: "ada" })).toEqual(["once"]);
  });
});

describe("an action", () => {
  test("returns its value", async () => {
    const client = connect(await startFixture());
    await client.mutation(api.notes.add, { author: "ada", text: "one" });
    expect(await client.action(api.notes.count, { author: "ada" })).toBe(1);
  });

  test("that fails reports its ConvexError", async () => {
    const client = connect(await startFixture());
    await expect(client.action(api.notes.failAction, {})).rejects.toMatchObject({ data: "no action" });
  });
});

describe("a client cannot call", () => {
  const missing = /Could not find public function for/;

  test("internal functions", async () => {
    const client = connect(await startFixture());
    const asPublic = (reference: unknown) => reference as FunctionReference<"query">;
    await expect(client.query(asPublic(internal.notes.secrets), {})).rejects.toThrow(missing);
    const add = internal.notes.addInternally as unknown as FunctionReference<"mutation">;
    await expect(client.mutation(add, { author: "eve", text: "x" })).rejects.toThrow(missing);
  });

  test.each([
    "notes:nothing",
    "nowhere:list",
    "http:default",
    "_generated/api:api",
    "notes:constructor",
    "../notes:list",
  ])("%s", async (name) => {
    const client = connect(await startFixture());
    await expect(client.query(name as unknown as FunctionReference<"query">, {})).rejects.toThrow(missing);
  });

  test("a function as another kind", async () => {
    const client = connect(await startFixture());
    const list = api.notes.list as unknown as FunctionReference<"mutation">;
    await expect(client.mutation(list, { author: "ada" })).rejects.toThrow(/notes:list as Mutation.* defined as Query/);
  });
});

describe("a paginated query", () => {
  type Page = PaginationResult<{ text: string }> & { results: { text: string }[]; loadMore(count: number): void };

  test("keeps its pages without a gap while documents are added, also after a reconnect", async () => {
    const server = await startFixture();
    const client = connect(server);
    for (let i = 1; i <= 5; i++) await client.mutation(api.notes.add, { author: "ada", text: String(i) });
    let page: Page | undefined;
    // The client adds paginationOpts; the types of this preview API do not know.
    const args = {} as FunctionArgs<typeof api.notes.page>;
    client.onPaginatedUpdate_experimental(api.notes.page, args, { initialNumItems: 2 }, (result) => {
      page = result as unknown as Page;
    });
    const texts = () => page?.results.map((note) => note.text).join(" ");
    await eventually(() => expect(texts()).toBe("5 4"));
    page?.loadMore(2);
    await eventually(() => expect(texts()).toBe("5 4 3 2"));
    await client.mutation(api.notes.add, { author: "ada", text: "6" });
    await eventually(() => expect(texts()).toBe("6 5 4 3 2"));
    server.disconnectClients();
    await server.run(internal.notes.addInternally, { author: "ada", text: "7" });
    await eventually(() => expect(texts()).toBe("7 6 5 4 3 2"));
  });
});
