import { Webhook } from "standardwebhooks";
import type { App } from "./app.js";

export const SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
export const OTHER_SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

export const PATHS = {
  testcases: "/coding/testcases",
  running: "/coding/submission-running",
  result: "/coding/submission-result",
};

/** The key of a submission as it stands in a `webhook-id`. */
export function escapeKey(key: string): string {
  const escapeByte = (byte: number) => `~${byte.toString(16).padStart(2, "0")}`;
  return Array.from(new TextEncoder().encode(key), (byte) => {
    const character = String.fromCharCode(byte);
    return /[A-Za-z0-9_-]/.test(character) ? character : escapeByte(byte);
  }).join("");
}

/** The `webhook-id` of a callback. */
export function callbackId(kind: string, submissionId: string, generation = 1): string {
  return `${kind}-${escapeKey(generation === 1 ? submissionId : `${submissionId}.${generation}`)}`;
}

type Signature = { secrets?: string[]; ageSeconds?: number; token?: string };

/** The headers of a call as Gavel signs it. */
export function signedHeaders(body: string, webhookId: string, signature: Signature = {}): Record<string, string> {
  const { secrets = [SECRET], ageSeconds = 0, token } = signature;
  const time = new Date(Date.now() - ageSeconds * 1_000);
  return {
    "content-type": "application/json",
    "webhook-id": webhookId,
    "webhook-timestamp": String(Math.floor(time.getTime() / 1_000)),
    "webhook-signature": secrets.map((secret) => new Webhook(secret).sign(webhookId, time, body)).join(" "),
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
  };
}

/** Makes a signed call. */
export async function call(t: App, path: string, body: object, webhookId: string, signature?: Signature) {
  const text = JSON.stringify(body);
  return await t.fetch(path, { method: "POST", body: text, headers: signedHeaders(text, webhookId, signature) });
}

export async function reportRunning(t: App, submissionId: string, generation = 1): Promise<Response> {
  return await call(t, PATHS.running, { submissionId }, callbackId("running", submissionId, generation));
}

export async function reportResult(
  t: App,
  submissionId: string,
  result: object,
  { generation = 1, kind = "result" } = {},
): Promise<Response> {
  return await call(t, PATHS.result, { submissionId, ...result }, callbackId(kind, submissionId, generation));
}
