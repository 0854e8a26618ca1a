import { ConvexError } from "convex/values";
import { expect, test } from "vitest";
import { errorText } from "./errorText";

const GENERAL = "Something went wrong on the server. Try again in a moment.";

test.each([
  [new ConvexError({ code: "source_too_large", message: "The source is too large." }), "The source is too large."],
  [new ConvexError("Not now."), "Not now."],
  [new ConvexError({ code: 1 }), GENERAL],
  [new Error("[CONVEX M(judge:submit)] Server Error"), GENERAL],
  ["text", GENERAL],
])("text of error %#", (error, text) => expect(errorText(error)).toBe(text));
