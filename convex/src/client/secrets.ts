import { Webhook, WebhookVerificationError } from "standardwebhooks";

/** Splits the value of an environment variable. Takes a list as it is, so that an empty secret in it is noticed. */
export function parseList(list: string | string[] = []): string[] {
  if (typeof list !== "string") {
    return list;
  }
  return list
    .split(",")
    .map((item) => item.trim())
    .filter((item) => item !== "");
}

/**
 * Returns whether the token is one of the accepted ones. Compares SHA-256 digests without an early exit, so the time
 * tells neither how many characters match nor how long a token is.
 */
export async function isAcceptedToken(token: string, accepted: string[]): Promise<boolean> {
  const actual = await digest(token);
  let isAccepted = false;
  for (const candidate of accepted) {
    const expected = await digest(candidate);
    const difference = actual.reduce((sum, byte, index) => sum | (byte ^ expected[index]!), 0);
    isAccepted = difference === 0 || isAccepted;
  }
  return isAccepted;
}

async function digest(text: string): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
}

export type SignedHeaders = { "webhook-id": string; "webhook-timestamp": string; "webhook-signature": string };

/**
 * Returns whether one of the secrets signed the call within the last or next 300 seconds, as Standard Webhooks
 * prescribes. Throws if a secret is malformed.
 */
export function isSigned(body: string, headers: SignedHeaders, secrets: string[]): boolean {
  const verifiers = secrets.map(verifierOf);
  // Each secret is tried, so that the time does not tell which one is in use.
  return verifiers.map((verifier) => matches(verifier, body, headers)).includes(true);
}

const PREFIX = "whsec_";
/** The lengths that Standard Webhooks recommends, and Gavel requires. */
const MIN_SECRET_BYTES = 24;
const MAX_SECRET_BYTES = 64;

/** `Webhook` alone would take any base64 text for a secret, such as "hello", and then refuse every call. */
function verifierOf(secret: string): Webhook {
  const { length } = atob(secret.slice(PREFIX.length));
  if (!secret.startsWith(PREFIX) || length < MIN_SECRET_BYTES || length > MAX_SECRET_BYTES) {
    throw new Error("malformed signing secret");
  }
  return new Webhook(secret);
}

function matches(verifier: Webhook, body: string, headers: SignedHeaders): boolean {
  try {
    verifier.verify(body, headers, { jsonParse: false });
    return true;
  } catch (error) {
    if (error instanceof WebhookVerificationError) {
      return false;
    }
    throw error;
  }
}
