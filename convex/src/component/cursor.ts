import type { PaginationOptions, PaginationResult } from "convex/server";
import { ConvexError } from "convex/values";

/**
 * The cursors of convex-helpers are readable index keys, here `["ada","k57",TIME,ID]`. One that a browser has changed
 * could point into the submissions of another user. So a browser gets only the last two values, and the first ones
 * are put back from the arguments of the query, which the app controls.
 */
const POSITION_LENGTH = 2;
/** The cursor behind the last document. As a start, convex-helpers would take it for the whole index. */
export const END = "[]";

/** Returns the options with the whole index keys. Throws if a cursor was not returned by this module. */
export function withPrefix(options: PaginationOptions, prefix: string[]): PaginationOptions {
  const { cursor, endCursor } = options;
  return {
    ...options,
    cursor: cursor === null ? null : addPrefix(cursor, prefix),
    endCursor: endCursor == null ? endCursor : addPrefix(endCursor, prefix),
  };
}

/** Returns the result without the prefix in its cursors. */
export function withoutPrefix<Item>(result: PaginationResult<Item>): PaginationResult<Item> {
  const { continueCursor, splitCursor } = result;
  return {
    ...result,
    continueCursor: removePrefix(continueCursor),
    splitCursor: splitCursor && removePrefix(splitCursor),
  };
}

function addPrefix(cursor: string, prefix: string[]): string {
  if (cursor === END) {
    return END;
  }
  const position = parse(cursor);
  const [time, id] = position;
  if (position.length !== POSITION_LENGTH || typeof time !== "number" || typeof id !== "string") {
    // The form in which `usePaginatedQuery` recognizes the error, and starts again. In production, a browser gets the
    // data of an error, but not its text.
    throw new ConvexError({ isConvexSystemError: true, paginationError: "InvalidCursor" });
  }
  return JSON.stringify([...prefix.map(escapeUndefined), ...position]);
}

function removePrefix(cursor: string): string {
  return JSON.stringify(parse(cursor).slice(-POSITION_LENGTH));
}

function parse(cursor: string): unknown[] {
  try {
    const key: unknown = JSON.parse(cursor);
    return Array.isArray(key) ? key : [];
  } catch {
    return [];
  }
}

/** convex-helpers writes `undefined` as a text, and this text with an underscore. */
function escapeUndefined(value: string): string {
  return value.endsWith("undefined") ? `_${value}` : value;
}
