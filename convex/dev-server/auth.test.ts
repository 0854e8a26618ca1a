import { describe, expect, test, vi } from "vitest";
import { TokenVerifier } from "./auth";
import { api } from "./fixture/convex/_generated/api";
import { connect, RawClient, sharedFixture, signToken } from "./testing";

const NOW = Math.floor(Date.now() / 1000);
const WHO = { type: "Add", queryId: 0, udfPath: "users:whoAmI", args: [{}] };
const SUBSCRIBE = { type: "ModifyQuerySet", baseVersion: 0, newVersion: 1, modifications: [WHO] };
const authenticate = (value: string, baseVersion = 0) => ({
  type: "Authenticate",
  tokenType: "User",
  value,
  baseVersion,
});

const server = sharedFixture();

describe("a client with a token", () => {
  test("is the user that the token names, in queries, mutations and HTTP actions", async () => {
    const token = await signToken({ name: "Ada", team: "red" });
    const client = connect(server());
    client.setAuth(() => Promise.resolve(token));
    await vi.waitFor(async () =>
      expect(await client.query(api.users.whoAmI, {})).toEqual({
        subject: "ada",
        issuer: "https://fixture.example.com",
        tokenIdentifier: "https://fixture.example.com|ada",
        name: "Ada",
        team: "red",
      }),
    );
    expect(await client.mutation(api.users.whoAdds, {})).toBe("ada");
    const headers = { authorization: `Bearer ${token}` };
    expect(await (await fetch(`${server().siteUrl}/echo`, { headers })).json()).toMatchObject({ subject: "ada" });
  });

  test("is apart from other clients", async () => {
    const [ada, bob, nobody] = [connect(server()), connect(server()), connect(server())];
    const tokens = [await signToken({ sub: "ada" }), await signToken({ sub: "bob" })];
    ada.setAuth(() => Promise.resolve(tokens[0]));
    bob.setAuth(() => Promise.resolve(tokens[1]));
    const names = () => Promise.all([ada, bob, nobody].map((client) => client.mutation(api.users.whoAdds, {})));
    await vi.waitFor(async () => expect(await names()).toEqual(["ada", "bob", null]));
  });

  test("gets the queries of the new user when its token changes", async () => {
    const client = await RawClient.connect(server());
    client.send(SUBSCRIBE);
    expect((await client.next("Transition")).modifications).toMatchObject([{ value: null }]);
    client.send(authenticate(await signToken()));
    expect(await client.next("Transition")).toMatchObject({
      startVersion: { identity: 0 },
      endVersion: { identity: 1 },
      modifications: [{ value: { subject: "ada" } }],
    });
    client.send({ type: "Authenticate", tokenType: "None", baseVersion: 1 });
    expect(await client.next("Transition")).toMatchObject({
      endVersion: { identity: 2 },
      modifications: [{ value: null }],
    });
  });

  test("gets an AuthError when the token expires", async () => {
    const client = await RawClient.connect(server());
    client.send(authenticate(await signToken({ exp: Math.floor(Date.now() / 1000) + 2 })));
    await client.next("Transition");
    await new Promise((resolve) => setTimeout(resolve, 2000));
    client.send({ type: "Mutation", requestId: 0, udfPath: "users:whoAdds", args: [{}] });
    const error = { error: "Token expired.", baseVersion: 1, authUpdateAttempted: false };
    expect(await client.next("AuthError")).toMatchObject(error);
    expect(await client.closed()).toBe(1011);
  });
});

describe("a bad token", () => {
  const bad: [string, () => Promise<string>, RegExp][] = [
    ["that is no token", () => Promise.resolve("abc"), /Invalid Token/i],
    ["of another issuer", () => signToken({ iss: "https://evil.example.com" }), /iss/],
    ["for another audience", () => signToken({ aud: "other" }), /aud/],
    ["without an audience", () => signToken({ aud: undefined }), /aud/],
    ["that has expired", () => signToken({ exp: NOW - 10 }), /exp/],
    ["without an expiry", () => signToken({ exp: undefined }), /exp/],
    ["without a subject", () => signToken({ sub: undefined }), /sub/],
    ["with a changed payload", async () => changePayload(await signToken()), /signature verification failed/],
    ["without a signature", async () => withoutSignature(await signToken()), /algorithm is none/],
  ];

  test.each(bad)("%s is refused", async (_name, sign, reason) => {
    const client = await RawClient.connect(server());
    client.send(authenticate(await sign()));
    const message = await client.next("AuthError");
    expect(message).toMatchObject({ baseVersion: 0, authUpdateAttempted: true });
    expect(message.error).toMatch(reason);
    expect(await client.closed()).toBe(1011);
  });

  test("leaves the client signed out", { timeout: 20_000 }, async () => {
    const client = connect(server());
    const states: boolean[] = [];
    client.setAuth(
      () => signToken({ iss: "https://evil.example.com", jti: crypto.randomUUID() }),
      (isAuthenticated) => states.push(isAuthenticated),
    );
    await vi.waitFor(() => expect(states).toEqual([false]), { timeout: 5000 });
    // The client connects again without a token.
    await vi.waitFor(async () => expect(await client.query(api.users.whoAmI, {})).toBeNull(), { timeout: 10_000 });
  });

  test("of an administrator is refused", async () => {
    const client = await RawClient.connect(server());
    client.send({ ...authenticate("key"), tokenType: "Admin" });
    expect((await client.next("AuthError")).error).toMatch(/no admin keys/);
  });

  test("of an HTTP request leaves the caller anonymous", async () => {
    const headers = { authorization: "Bearer secret-of-the-judge" };
    expect(await (await fetch(`${server().siteUrl}/echo`, { headers })).json()).toMatchObject({ subject: null });
  });
});

test("a provider that needs a request for its keys is refused at start", () => {
  const provider = { type: "customJwt", issuer: "https://a.example", algorithm: "ES256" } as const;
  expect(() => new TokenVerifier([{ ...provider, jwks: "https://a.example/jwks" }])).toThrow(/must be a data: URI/);
  expect(() => new TokenVerifier([{ domain: "https://b.example", applicationID: "b" }])).toThrow(/b\.example/);
});

function changePayload(token: string): string {
  const [header, payload = "", signature] = token.split(".");
  const claims = JSON.parse(Buffer.from(payload, "base64url").toString()) as object;
  return [header, Buffer.from(JSON.stringify({ ...claims, sub: "eve" })).toString("base64url"), signature].join(".");
}

function withoutSignature(token: string): string {
  const header = Buffer.from(JSON.stringify({ alg: "none", typ: "JWT", kid: "dev-server" })).toString("base64url");
  return [header, token.split(".")[1], ""].join(".");
}
