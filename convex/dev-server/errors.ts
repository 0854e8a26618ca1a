import { randomBytes } from "node:crypto";
import { ConvexError, convexToJson, type JSONValue, type Value } from "convex/values";

/** A failed call of a function as a client sees it. */
export interface Failure {
  message: string;
  data?: JSONValue;
}

/** Describes an error as a development deployment of Convex does. (A production one hides the message.) */
export function describeFailure(error: unknown): Failure {
  const prefix = `[Request ID: ${randomBytes(8).toString("hex")}] Server Error\n`;
  if (error instanceof ConvexError || isConvexError(error)) {
    const data = convexToJson(error.data as Value);
    const text = typeof data === "string" ? data : JSON.stringify(data);
    return { message: `${prefix}Uncaught ConvexError: ${text}`, data };
  }
  if (error instanceof FunctionNotFound) return { message: prefix + error.message };
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return { message: `${prefix}Uncaught ${text}` };
}

/** A client asked for a function that is missing, internal or of another kind. */
export class FunctionNotFound extends Error {}

// The functions may load another copy of the `convex` package; its errors carry this mark.
function isConvexError(error: unknown): error is ConvexError<Value> {
  return typeof error === "object" && error !== null && Symbol.for("ConvexError") in error;
}
