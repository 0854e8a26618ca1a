import { parseCallbackId, type CallbackId } from "./callbackId.js";
import { isAcceptedToken, isSigned, parseList, type SignedHeaders } from "./secrets.js";

/** The largest body of a callback in bytes: Gavel's own texts are at most 8 KiB each by default. */
const MAX_BODY_BYTES = 1024 * 1024;
/** The window that Standard Webhooks prescribes. */
const MAX_TOLERANCE_SECONDS = 300;

/** What a call must prove. With secrets and tokens, it must have both. */
export type VerifyOptions = {
  /**
   * Secrets, one of which must have signed the call: `whsec_` and 24 to 64 bytes in base64. Several during a rotation,
   * as a list or separated by commas.
   */
  secrets?: string | string[];
  /** Bearer tokens, one of which the call must have. Several during a rotation, as a list or separated by commas. */
  tokens?: string | string[];
  /** How far the time of a signature may be from now, in seconds. At most, and by default, 300. */
  toleranceSeconds?: number;
};

/** A verified call, or the answer for it. */
export type Verified =
  | {
      ok: true;
      /** The body, which is a JSON object. */
      body: Record<string, unknown>;
      /** The same for each attempt of one callback. */
      webhookId?: string;
      /** 1 for the first judging, one more for each rejudge. */
      generation: number;
    }
  | { ok: false; status: 400 | 401 | 413 | 503; message: string };

/**
 * Verifies a call of Gavel: its signature and its bearer token, in constant time, and the form of its body. Works alone,
 * for apps that keep their own functions.
 *
 * ```ts
 * const call = await verifyCallback(request, { secrets: process.env.GAVEL_SIGNING_SECRETS });
 * if (!call.ok) return new Response(call.message, { status: call.status });
 * ```
 *
 * 401: wrong or missing token or signature, or a timestamp outside the window. 400: not a JSON object, or a
 * `webhook-id` that belongs to another submission or another path. 413: more than 1 MiB. 503: neither secret nor token is given, or a
 * secret is malformed. It is not 401, because Gavel gives up after a 401 and tries again after a 503. For 401 and 503,
 * the log says what to do.
 */
export async function verifyCallback(request: Request, options: VerifyOptions): Promise<Verified> {
  const text = await boundedBody(request);
  if (text === undefined) {
    return { ok: false, status: 413, message: `The body exceeds ${MAX_BODY_BYTES} bytes.` };
  }
  const refusal = (await tokenRefusal(request, options)) ?? signatureRefusal(request, text, options);
  if (refusal) {
    return refusal;
  }
  const body = jsonObject(text);
  if (!body) {
    return { ok: false, status: 400, message: "The body is not a JSON object." };
  }
  const webhookId = request.headers.get("webhook-id") ?? undefined;
  const id = webhookId === undefined ? undefined : parseCallbackId(webhookId);
  if (webhookId !== undefined && !isConsistent(id, body, new URL(request.url).pathname)) {
    return { ok: false, status: 400, message: "The webhook-id does not match the path and the body." };
  }
  return { ok: true, body, webhookId, generation: id?.generation ?? 1 };
}

type Refusal = Extract<Verified, { ok: false }>;

function misconfigured(problem: string, remedy: string): Refusal {
  console.error(`A call of Gavel cannot be verified: ${problem}. ${remedy}`);
  return { ok: false, status: 503, message: "This deployment cannot verify calls yet." };
}

/** The caller may be anyone, so the log has nothing that it sent. */
function unauthorized(problem: string, remedy: string): Refusal {
  console.warn(`A call was refused with 401: ${problem}. If it came from Gavel, ${remedy}.`);
  return { ok: false, status: 401, message: "Unauthorized." };
}

async function tokenRefusal(request: Request, options: VerifyOptions): Promise<Refusal | undefined> {
  const tokens = parseList(options.tokens);
  if (tokens.length === 0) {
    return parseList(options.secrets).length > 0
      ? undefined
      : misconfigured(
          "no signing secret and no token is set",
          'Set the value of Gavel\'s CONVEX_SIGNING_SECRETS with "npx convex env set GAVEL_SIGNING_SECRETS whsec_…", ' +
            'or that of its CONVEX_TOKEN with "npx convex env set GAVEL_TOKENS …".',
        );
  }
  const [, token] = /^Bearer +(.+)$/i.exec(request.headers.get("authorization") ?? "") ?? [];
  return (await isAcceptedToken(token ?? "", tokens))
    ? undefined
    : unauthorized(
        token === undefined
          ? "it has no bearer token (gavel doctor tries this)"
          : "its bearer token is not one of GAVEL_TOKENS",
        "set Gavel's CONVEX_TOKEN to one of GAVEL_TOKENS",
      );
}

function signatureRefusal(request: Request, text: string, options: VerifyOptions): Refusal | undefined {
  const secrets = parseList(options.secrets);
  if (secrets.length === 0) {
    return undefined;
  }
  const header = (name: keyof SignedHeaders) => request.headers.get(name) ?? "";
  const headers: SignedHeaders = {
    "webhook-id": header("webhook-id"),
    "webhook-timestamp": header("webhook-timestamp"),
    "webhook-signature": header("webhook-signature"),
  };
  let isGenuine: boolean;
  try {
    isGenuine = isSigned(text, headers, secrets);
  } catch {
    return misconfigured(
      'a signing secret is not "whsec_" followed by 24 to 64 bytes in base64',
      'Set the value of Gavel\'s CONVEX_SIGNING_SECRETS with "npx convex env set GAVEL_SIGNING_SECRETS whsec_…".',
    );
  }
  const sameSecret = "set Gavel's CONVEX_SIGNING_SECRETS and GAVEL_SIGNING_SECRETS here to the same secret";
  if (Object.values(headers).includes("")) {
    return unauthorized("it is not signed (gavel doctor tries this)", sameSecret);
  }
  const { toleranceSeconds = MAX_TOLERANCE_SECONDS } = options;
  const ageSeconds = Math.floor(Date.now() / 1_000) - Number(headers["webhook-timestamp"]);
  // `>` would accept a timestamp that is not a number.
  if (!(Math.abs(ageSeconds) <= toleranceSeconds)) {
    return unauthorized(`its time is more than ${toleranceSeconds} s from now`, "set the clock of its machine");
  }
  return isGenuine ? undefined : unauthorized("none of the secrets here signed it", sameSecret);
}

/** Returns the body, or undefined if it is too large. */
async function boundedBody(request: Request): Promise<string | undefined> {
  if (Number(request.headers.get("content-length") ?? 0) > MAX_BODY_BYTES) {
    return undefined;
  }
  const bytes = await request.arrayBuffer();
  // `ignoreBOM` keeps a byte order mark, which the signature covers.
  return bytes.byteLength > MAX_BODY_BYTES ? undefined : new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
}

function jsonObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
    return isObject ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

/** The kinds of calls that Gavel makes to a path, by its end. The signature does not cover the path. */
const KINDS_OF_PATH: [string, string[]][] = [
  ["testcases", ["testcases", "doctor"]],
  ["submission-running", ["running", "doctor"]],
  ["submission-result", ["result", "last-word", "doctor"]],
];

/** A callback names its submission in the body and in the id, and its kind in the path and in the id. */
function isConsistent(
  id: ReturnType<typeof parseCallbackId>,
  body: Record<string, unknown>,
  path: string,
): id is CallbackId {
  if (!id) {
    return false;
  }
  const [, kinds] = KINDS_OF_PATH.find(([end]) => path.endsWith(end)) ?? [];
  if (kinds && !kinds.includes(id.kind)) {
    return false;
  }
  const isCallback = id.kind === "running" || id.kind === "result" || id.kind === "last-word";
  return isCallback ? body.submissionId === id.key : body.submissionId === undefined;
}
