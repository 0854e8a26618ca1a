import { Webhook } from "standardwebhooks";
import type { Secrets } from "./pipeline";
import type { Call } from "./recording-proxy";

/** A call as Gavel sends it. */
export interface CallParts {
  path: string;
  /** The `webhook-id`. */
  id: string;
  body: unknown;
  /** The `webhook-timestamp`; by default now. */
  at?: Date;
}

/** Builds a call with the token and the signature of these secrets. */
export function signedCall(secrets: Secrets, { path, id, body, at = new Date() }: CallParts): Call {
  const text = JSON.stringify(body);
  return {
    path,
    body: text,
    headers: {
      "content-type": "application/json",
      authorization: `Bearer ${secrets.token}`,
      "webhook-id": id,
      "webhook-timestamp": String(Math.floor(at.getTime() / 1000)),
      "webhook-signature": new Webhook(secrets.signingSecret).sign(id, at, text),
    },
  };
}
