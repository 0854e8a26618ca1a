import { decodeProtectedHeader, importJWK, jwtVerify, type JSONWebKeySet, type JWTPayload } from "jose";
import type { AuthConfig, UserIdentity } from "convex/server";

type CustomJwt = Extract<AuthConfig["providers"][number], { type: "customJwt" }>;

/** A user, as a token proves it. */
export interface VerifiedToken {
  identity: UserIdentity;
  /** When the token expires, in milliseconds since 1970. */
  expiresAt: number;
}

/** Verifies tokens by the providers of auth.config.ts, by Convex's rules for custom JWTs. */
export class TokenVerifier {
  readonly #providers: { config: CustomJwt; keys: JSONWebKeySet }[];

  /** Fails if a provider is not a `customJwt` with its keys in a `data:` URI: this mock makes no requests for keys. */
  constructor(providers: AuthConfig["providers"]) {
    this.#providers = providers.map((config) => {
      if (!("type" in config)) {
        throw new Error(`auth.config.ts: the OIDC provider ${config.domain} is not supported; use type "customJwt".`);
      }
      return { config, keys: parseKeys(config) };
    });
  }

  /** Returns the identity that a token proves. Fails if no provider accepts the token. */
  async verify(token: string): Promise<VerifiedToken> {
    const { alg, kid, typ } = decodeProtectedHeader(token);
    if (kid === undefined || typ === undefined) throw new Error("The token's header has no kid or no typ.");
    let reason = "auth.config.ts has no provider";
    for (const { config, keys } of this.#providers) {
      try {
        if (alg !== config.algorithm) throw new Error(`the algorithm is ${alg}, not ${config.algorithm}`);
        const key = keys.keys.find((candidate) => candidate.kid === kid);
        if (key === undefined) throw new Error(`the provider has no key ${kid}`);
        const { payload } = await jwtVerify(token, await importJWK(key, config.algorithm), {
          algorithms: [config.algorithm],
          issuer: config.issuer,
          ...(config.applicationID === undefined ? {} : { audience: config.applicationID }),
          requiredClaims: ["sub", "exp"],
        });
        return { identity: identityOf(payload), expiresAt: (payload.exp ?? 0) * 1000 };
      } catch (error) {
        reason = (error as Error).message;
      }
    }
    throw new Error(`No auth provider accepts the token: ${reason}.`);
  }
}

function parseKeys(config: CustomJwt): JSONWebKeySet {
  const match = /^data:[^,]*?(;base64)?,(.*)$/s.exec(config.jwks);
  if (match === null) {
    throw new Error(
      `auth.config.ts: jwks of ${config.issuer} must be a data: URI, not ${JSON.stringify(config.jwks)}.`,
    );
  }
  const [, base64, data = ""] = match;
  const text = base64 === undefined ? decodeURIComponent(data) : Buffer.from(data, "base64").toString("utf8");
  return JSON.parse(text) as JSONWebKeySet;
}

const ATTRIBUTES: Record<string, string> = {
  name: "name",
  given_name: "givenName",
  family_name: "familyName",
  nickname: "nickname",
  preferred_username: "preferredUsername",
  profile: "profileUrl",
  picture: "pictureUrl",
  email: "email",
  email_verified: "emailVerified",
  gender: "gender",
  birthdate: "birthday",
  zoneinfo: "timezone",
  locale: "language",
  phone_number: "phoneNumber",
  phone_number_verified: "phoneNumberVerified",
  address: "address",
  updated_at: "updatedAt",
};

function identityOf(payload: JWTPayload): UserIdentity {
  const { iss = "", sub = "", aud: _aud, exp: _exp, iat: _iat, nbf: _nbf, jti: _jti, ...claims } = payload;
  const attributes = Object.entries(claims).map(([claim, value]) => [ATTRIBUTES[claim] ?? claim, value]);
  return {
    ...Object.fromEntries(attributes),
    issuer: iss,
    subject: sub,
    tokenIdentifier: `${iss}|${sub}`,
  } as UserIdentity;
}
