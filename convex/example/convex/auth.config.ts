import type { AuthConfig } from "convex/server";

/** The visitors whose tokens `visitors.ts` signs. An app would name its identity provider here. */
export default {
  providers: [
    {
      type: "customJwt",
      applicationID: "gavel-example",
      issuer: "https://gavel.example",
      jwks: process.env.EXAMPLE_AUTH_JWKS!,
      algorithm: "ES256",
    },
  ],
} satisfies AuthConfig;
