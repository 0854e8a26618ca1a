// Make the key pair that signs the visitors of the example in, and print the commands that set it in a deployment.
import { exportJWK, generateKeyPair } from "jose";

const { privateKey, publicKey } = await generateKeyPair("ES256", { extractable: true });
const id = { kid: crypto.randomUUID(), alg: "ES256", use: "sig" };
const key = { ...(await exportJWK(privateKey)), ...id };
const jwks = { keys: [{ ...(await exportJWK(publicKey)), ...id }] };
const jwksUri = `data:text/plain;charset=utf-8;base64,${Buffer.from(JSON.stringify(jwks)).toString("base64")}`;

console.log(`npx convex env set EXAMPLE_AUTH_KEY '${JSON.stringify(key)}'`);
console.log(`npx convex env set EXAMPLE_AUTH_JWKS '${jwksUri}'`);
