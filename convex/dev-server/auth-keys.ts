import { exportJWK, generateKeyPair } from "jose";

/**
 * Returns the variables that the example's sign-in needs: a new key pair, unless the given variables or those of the
 * process have one.
 */
export async function createAuthKeys(env: Record<string, string | undefined>): Promise<Record<string, string>> {
  const known = { ...process.env, ...env };
  if (known.EXAMPLE_AUTH_KEY !== undefined && known.EXAMPLE_AUTH_JWKS !== undefined) return {};
  const { privateKey, publicKey } = await generateKeyPair("ES256", { extractable: true });
  const marks = { kid: "dev-server", alg: "ES256", use: "sig" };
  const keys = JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), ...marks }] });
  return {
    EXAMPLE_AUTH_KEY: JSON.stringify({ ...(await exportJWK(privateKey)), ...marks }),
    EXAMPLE_AUTH_JWKS: `data:application/json;base64,${Buffer.from(keys).toString("base64")}`,
  };
}
