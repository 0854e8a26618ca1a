import { Webhook, WebhookVerificationError } from "standardwebhooks";

/** A comma-separated list of an environment variable. */
export function parseList(text: string | undefined): string[] {
  return (text ?? "")
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
  const verifiers = secrets.map((secret) => new Webhook(secret));
  // Each secret is tried, so that the time does not tell which one is in use.
  return verifiers.map((verifier) => matches(verifier, body, headers)).includes(true);
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
