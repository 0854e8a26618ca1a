import { convexTest } from "convex-test";
import { createLocalJWKSet, decodeJwt, exportJWK, generateKeyPair, jwtVerify } from "jose";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { api } from "./_generated/api.js";
import authConfig from "./auth.config.js";
import schema from "./schema.js";

const modules = import.meta.glob("./**/*.*s");
const { applicationID, issuer, algorithm } = authConfig.providers[0]!;

beforeEach(() => {
  vi.stubEnv("EXAMPLE_AUTH_KEY", undefined);
});
afterEach(() => {
  vi.unstubAllEnvs();
});

async function setKey() {
  const { privateKey, publicKey } = await generateKeyPair("ES256", { extractable: true });
  vi.stubEnv("EXAMPLE_AUTH_KEY", JSON.stringify({ ...(await exportJWK(privateKey)), kid: "key-1", alg: "ES256" }));
  const keys = createLocalJWKSet({ keys: [{ ...(await exportJWK(publicKey)), kid: "key-1", alg: "ES256" }] });
  const options = { issuer, audience: applicationID, algorithms: [algorithm] };
  return async (token: string) => (await jwtVerify(token, keys, options)).payload;
}

describe("visitors", () => {
  test("get a random id and a token of thirty days that auth.config.ts accepts", async () => {
    const verify = await setKey();
    const t = convexTest({ schema, modules });
    const [first, second] = [await t.action(api.visitors.signIn, {}), await t.action(api.visitors.signIn, {})];
    const { sub, iat, exp } = await verify(first.token);
    expect(sub).toMatch(/^[0-9a-f-]{36}$/);
    expect(exp! - iat!).toBe(30 * 24 * 3_600);
    expect((await verify(second.token)).sub).not.toBe(sub);
  });

  test("renew their token under the same id while it is valid", async () => {
    await setKey();
    const t = convexTest({ schema, modules });
    const renewed = await t.withIdentity({ subject: "ada" }).action(api.visitors.renew, {});
    expect(decodeJwt(renewed!.token).sub).toBe("ada");
    expect(await t.action(api.visitors.renew, {})).toBeNull();
  });

  test("get an error that names the remedy if the deployment has no key", async () => {
    const t = convexTest({ schema, modules });
    await expect(t.action(api.visitors.signIn, {})).rejects.toThrow("node example/make-auth-key.mjs");
  });
});
