import { v } from "convex/values";
import { importJWK, SignJWT, type JWK } from "jose";
import { action } from "./_generated/server.js";

/** How long a token is valid. A visitor who stays away for longer comes back as a new one, without submissions. */
const LIFETIME_SECONDS = 30 * 24 * 60 * 60;

/**
 * Signs a visitor in without a name or password: a new visitor gets a random id and a token for it. An app signs its
 * users in with an identity provider instead.
 */
export const signIn = action({
  args: {},
  returns: v.object({ token: v.string() }),
  handler: async (): Promise<{ token: string }> => ({ token: await signToken(crypto.randomUUID()) }),
});

/** Returns a new token for the visitor of this call, or null if the old one has expired. */
export const renew = action({
  args: {},
  returns: v.union(v.object({ token: v.string() }), v.null()),
  handler: async (ctx): Promise<{ token: string } | null> => {
    const identity = await ctx.auth.getUserIdentity();
    return identity && { token: await signToken(identity.subject) };
  },
});

async function signToken(subject: string): Promise<string> {
  const jwk = JSON.parse(process.env.EXAMPLE_AUTH_KEY ?? "null") as JWK | null;
  if (!jwk) {
    throw new Error('EXAMPLE_AUTH_KEY is not set. Run "node example/make-auth-key.mjs", which prints how to set it.');
  }
  return await new SignJWT({})
    .setProtectedHeader({ alg: "ES256", typ: "JWT", kid: jwk.kid })
    .setSubject(subject)
    .setIssuer("https://gavel.example")
    .setAudience("gavel-example")
    .setIssuedAt()
    .setExpirationTime(`${LIFETIME_SECONDS}s`)
    .sign(await importJWK(jwk, "ES256"));
}
