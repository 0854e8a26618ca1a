import { ConvexError } from "convex/values";

/** What to tell a learner about an error: the message of the functions, or that the page failed. */
export function errorText(error: unknown): string {
  if (error instanceof ConvexError) {
    const data: unknown = error.data;
    if (typeof data === "string") return data;
    if (typeof data === "object" && data !== null && "message" in data && typeof data.message === "string") {
      return data.message;
    }
  }
  return "Something went wrong on the server. Try again in a moment.";
}
