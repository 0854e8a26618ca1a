import type { FirstFailure, ResultDetails, Wire } from "./types.js";

/** A result as Gavel reports it. */
export type ResultBody = Pick<Wire["ResultRequest"], "submissionId" | "status"> & { details: ResultDetails };

/** The body of a call does not match the contract. The message names the first field that is wrong. */
export class InvalidBody extends Error {}

type Fields = Record<string, unknown>;

/** Returns the id in the body. */
export function parseId(body: Fields, name: "questionId" | "submissionId"): string {
  const id = body[name];
  if (typeof id !== "string" || id === "") {
    throw new InvalidBody(`${name} must be a text that is not empty.`);
  }
  return id;
}

/** Returns the result in the body. Ignores keys that this version does not know, which a later Gavel may send. */
export function parseResult(body: Fields): ResultBody {
  const submissionId = parseId(body, "submissionId");
  const status = body.status;
  if (status !== "passed" && status !== "failed" && status !== "error") {
    throw new InvalidBody("status must be passed, failed or error.");
  }
  return {
    submissionId,
    status,
    details: {
      passedCount: count(body, "passedCount"),
      totalCount: count(body, "totalCount"),
      firstFailureIndex: count(body, "firstFailureIndex"),
      firstFailure: firstFailure(body.firstFailure),
      stderr: text(body, "stderr"),
      compileOutput: text(body, "compileOutput"),
      durationMs: count(body, "durationMs"),
    },
  };
}

function firstFailure(value: unknown): FirstFailure | undefined {
  if (value === undefined) {
    return undefined;
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new InvalidBody("firstFailure must be an object.");
  }
  const fields = value as Fields;
  return {
    stdin: text(fields, "stdin", "firstFailure."),
    actualOutput: text(fields, "actualOutput", "firstFailure."),
    expectedOutput: text(fields, "expectedOutput", "firstFailure."),
    errorMessage: text(fields, "errorMessage", "firstFailure."),
  };
}

function text(fields: Fields, name: string, path = ""): string | undefined {
  const value = fields[name];
  if (value === undefined || typeof value === "string") {
    return value;
  }
  throw new InvalidBody(`${path}${name} must be a text.`);
}

function count(fields: Fields, name: string): number | undefined {
  const value = fields[name];
  if (value === undefined || (typeof value === "number" && Number.isSafeInteger(value) && value >= 0)) {
    return value;
  }
  throw new InvalidBody(`${name} must be a whole number of at least 0.`);
}
