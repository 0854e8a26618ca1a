import { describe, expect, test } from "vitest";
import { connect as connectTcp } from "node:net";
import { closeGate, RawClient, sharedFixture, type Message } from "../testing";
import { decodeTs, encodeTs, splitTransition } from "./messages";

const ADD = { type: "Mutation", requestId: 0, udfPath: "notes:add", args: [{ author: "ada", text: "once" }] };
const TEXTS = { type: "Add", queryId: 7, udfPath: "notes:texts", args: [{ author: "ada" }] };
const SUBSCRIBE = { type: "ModifyQuerySet", baseVersion: 0, newVersion: 1, modifications: [TEXTS] };

const endTs = (message: Message) => decodeTs((message.endVersion as { ts: string }).ts);

const server = sharedFixture();

describe("messages", () => {
  test("a timestamp is little-endian", () => {
    expect(encodeTs(1n)).toBe("AQAAAAAAAAA=");
    expect(decodeTs(encodeTs(1_764_000_000_000_000_000n))).toBe(1_764_000_000_000_000_000n);
  });

  test("a long transition is split into chunks that join to it", () => {
    const chunks = splitTransition("abcdefgh", 3).map((text) => JSON.parse(text) as Message);
    expect(chunks.map((chunk) => chunk.chunk).join("")).toBe("abcdefgh");
    expect(chunks).toMatchObject(
      [0, 1, 2].map((partNumber) => ({ type: "TransitionChunk", partNumber, totalParts: 3 })),
    );
    expect(new Set(chunks.map((chunk) => chunk.transitionId)).size).toBe(1);
  });
});

describe("a connection", () => {
  test("gets transitions that each start where the last one ended", async () => {
    const client = await RawClient.connect(server());
    client.send(SUBSCRIBE);
    const first = await client.next("Transition");
    expect(first).toMatchObject({
      startVersion: { querySet: 0, identity: 0, ts: encodeTs(0n) },
      endVersion: { querySet: 1, identity: 0 },
      modifications: [{ type: "QueryUpdated", queryId: 7, value: [], journal: null }],
    });
    client.send(ADD);
    const response = await client.next("MutationResponse");
    const second = await client.next("Transition");
    expect(second.startVersion).toEqual(first.endVersion);
    expect(endTs(second)).toBeGreaterThanOrEqual(decodeTs(response.ts as string));
    client.send({ ...SUBSCRIBE, baseVersion: 1, newVersion: 2, modifications: [{ type: "Remove", queryId: 7 }] });
    expect(await client.next("Transition")).toMatchObject({
      startVersion: second.endVersion,
      endVersion: { querySet: 2 },
      modifications: [{ type: "QueryRemoved", queryId: 7 }],
    });
  });

  test("gets a transition after a mutation that it sent again, and the same answer", async () => {
    const first = await RawClient.connect(server(), { sessionId: "s" });
    first.send(ADD);
    const answer = await first.next("MutationResponse");
    const second = await RawClient.connect(server(), { sessionId: "s" });
    second.send(ADD);
    expect(await second.next("MutationResponse")).toEqual(answer);
    expect(endTs(await second.next("Transition"))).toBeGreaterThanOrEqual(decodeTs(answer.ts as string));
    const other = await RawClient.connect(server(), { sessionId: "another" });
    other.send(ADD);
    expect((await other.next("MutationResponse")).result).not.toBe(answer.result);
  });

  test("never sees a timestamp before the one it has observed", async () => {
    const future = BigInt(Date.now() + 3_600_000) * 1_000_000n;
    const client = await RawClient.connect(server(), { maxObservedTimestamp: encodeTs(future) });
    client.send(SUBSCRIBE);
    expect(endTs(await client.next("Transition"))).toBe(future);
  });

  test("may send events", async () => {
    const client = await RawClient.connect(server());
    client.send({ type: "Event", eventType: "ClientConnect", event: [] });
    client.send(SUBSCRIBE);
    expect((await client.next("Transition")).modifications).toHaveLength(1);
  });

  test.each([
    ["text that is not JSON", "{", /not JSON/],
    ["an unknown type", { type: "toString" }, /unknown type/],
    ["a missing field", { type: "Mutation", requestId: 0, args: [{}] }, /udfPath/],
    ["arguments that are not an object", { ...ADD, args: ["x"] }, /args/],
    ["a query set of the wrong version", { ...SUBSCRIBE, baseVersion: 5 }, /baseVersion/],
    ["a malformed journal", { ...SUBSCRIBE, modifications: [{ ...TEXTS, journal: "{" }] }, /journal/i],
  ])("that sends %s gets a FatalError and is closed", async (_name, message, reason) => {
    const client = await RawClient.connect(server());
    client.send(message);
    expect((await client.next("FatalError")).error).toMatch(reason);
    expect(await client.closed()).toBe(1011);
  });

  test("that does not begin with Connect gets a FatalError", async () => {
    const client = await RawClient.connect(server(), null);
    client.send(SUBSCRIBE);
    expect((await client.next("FatalError")).error).toMatch(/before Connect/);
  });

  test("that sends too large a message is closed", async () => {
    const client = await RawClient.connect(server());
    client.send(" ".repeat(18 * 1024 * 1024));
    expect(await client.closed()).toBe(1009);
    expect((await fetch(`${server().siteUrl}/echo`)).status).toBe(201);
  });

  test("that breaks during a mutation does not stop it", async () => {
    const gate = closeGate();
    const client = await RawClient.connect(server());
    client.send({ ...ADD, udfPath: "notes:addSlowly", args: [{ author: "slow", text: "once" }] });
    await gate.arrived;
    server().disconnectClients();
    expect(await client.closed()).toBe(1006);
    gate.open();
    const other = await RawClient.connect(server());
    other.send({ ...SUBSCRIBE, modifications: [{ ...TEXTS, args: [{ author: "slow" }] }] });
    expect((await other.next("Transition")).modifications).toMatchObject([{ value: ["once"] }]);
  });
});

test("an upgrade of another path answers 404", async () => {
  const socket = connectTcp(Number(new URL(server().url).port), "127.0.0.1");
  socket.write("GET /api/sync HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
  const answer = await new Promise<Buffer>((resolve) => socket.once("data", resolve));
  expect(answer.toString()).toMatch(/^HTTP\/1.1 404 /);
});
