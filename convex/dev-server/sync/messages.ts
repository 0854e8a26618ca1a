import { randomUUID } from "node:crypto";
import type { JSONValue } from "convex/values";

// The messages of Convex's sync protocol. Source: convex/src/browser/sync/protocol.ts of the `convex` package.

/** The last state that a client was sent. Each Transition starts where the last one ended. */
export interface StateVersion {
  querySet: number;
  identity: number;
  /** Timestamp of the data, in nanoseconds since 1970. */
  ts: bigint;
}

export interface AddQuery {
  type: "Add";
  queryId: number;
  udfPath: string;
  args: JSONValue[];
  journal?: string | null;
}

export interface FunctionRequest {
  type: "Mutation" | "Action";
  requestId: number;
  udfPath: string;
  args: JSONValue[];
}

export type ClientMessage =
  | { type: "Connect"; sessionId: string; clientTs: number; maxObservedTimestamp?: string }
  | {
      type: "ModifyQuerySet";
      baseVersion: number;
      newVersion: number;
      modifications: (AddQuery | { type: "Remove"; queryId: number })[];
    }
  | FunctionRequest
  | { type: "Authenticate"; baseVersion: number; tokenType: "User" | "Admin" | "None"; value?: string }
  | { type: "Event" };

export type StateModification =
  | { type: "QueryUpdated"; queryId: number; value: JSONValue; logLines: string[]; journal: string | null }
  | {
      type: "QueryFailed";
      queryId: number;
      errorMessage: string;
      logLines: string[];
      errorData?: JSONValue;
      journal: string | null;
    }
  | { type: "QueryRemoved"; queryId: number };

/** A client broke the protocol; it gets an error and is disconnected. */
export class ProtocolError extends Error {}

const FIELDS: Record<ClientMessage["type"], Record<string, (value: unknown) => boolean>> = {
  Connect: { sessionId: isString, clientTs: Number.isFinite },
  ModifyQuerySet: { baseVersion: isCount, newVersion: isCount, modifications: isModificationList },
  Mutation: { requestId: isCount, udfPath: isString, args: isArgs },
  Action: { requestId: isCount, udfPath: isString, args: isArgs },
  Authenticate: { baseVersion: isCount, tokenType: isString },
  Event: {},
};

/** Parses a client's message. Fails with {@link ProtocolError} if it is malformed. */
export function parseClientMessage(text: string): ClientMessage {
  let message: unknown;
  try {
    message = JSON.parse(text);
  } catch {
    throw new ProtocolError("The message is not JSON.");
  }
  if (!isRecord(message) || !isString(message.type) || !Object.hasOwn(FIELDS, message.type)) {
    throw new ProtocolError("The message has an unknown type.");
  }
  const fields = FIELDS[message.type as ClientMessage["type"]];
  for (const [name, isValid] of Object.entries(fields)) {
    if (!isValid(message[name])) throw new ProtocolError(`${message.type}: the field ${name} is missing or invalid.`);
  }
  return message as ClientMessage;
}

/** Encodes a timestamp as the protocol does: an unsigned 64-bit integer, little-endian, in base64. */
export function encodeTs(ts: bigint): string {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(ts);
  return bytes.toString("base64");
}

/** Decodes a timestamp. Fails with {@link ProtocolError} if it is not 8 bytes. */
export function decodeTs(encoded: string): bigint {
  const bytes = Buffer.from(encoded, "base64");
  if (bytes.length !== 8) throw new ProtocolError("The timestamp is not 8 bytes.");
  return bytes.readBigUInt64LE();
}

/** Splits a message that is longer than `size` characters into TransitionChunks. */
export function splitTransition(text: string, size: number): string[] {
  if (text.length <= size) return [text];
  const transitionId = randomUUID();
  const totalParts = Math.ceil(text.length / size);
  return Array.from({ length: totalParts }, (_, partNumber) => {
    const chunk = text.slice(partNumber * size, (partNumber + 1) * size);
    return JSON.stringify({ type: "TransitionChunk", chunk, partNumber, totalParts, transitionId });
  });
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isString(value: unknown): value is string {
  return typeof value === "string";
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isArgs(value: unknown): boolean {
  return Array.isArray(value) && value.length === 1 && isRecord(value[0]);
}

function isModificationList(value: unknown): boolean {
  return Array.isArray(value) && value.every(isModification);
}

function isModification(value: unknown): boolean {
  if (!isRecord(value) || !isCount(value.queryId)) return false;
  return value.type === "Remove" || (value.type === "Add" && isString(value.udfPath) && isArgs(value.args));
}
