import { v, type Infer } from "convex/values";
import type { LanguagesView, Wire } from "../client/types.js";
import { internal } from "./_generated/api.js";
import { internalAction, internalMutation, mutation, query, type MutationCtx } from "./_generated/server.js";
import { callGavel } from "./ingress.js";
import { vLanguage } from "./validators.js";
import { vLanguagesView } from "./view.js";

/** How long a list is used. */
const FRESH_MS = 60_000;
/** How soon Gavel is asked again after a failure or an empty list. The ingress knows no judge for 2 s after its start. */
const RETRY_MS = 5_000;
const PROBLEM = "The list of languages could not be loaded. Please try again later.";

const vList = v.object({ languages: v.array(vLanguage), judges: v.number() });

/** The languages of the running judges as last fetched, or null if they were never asked for. */
export const get = query({
  args: {},
  returns: v.union(vLanguagesView, v.null()),
  handler: async (ctx): Promise<LanguagesView | null> => {
    const cached = await ctx.db.query("languages").first();
    if (!cached) {
      return null;
    }
    const { languages, judges, fetchedAt, problem } = cached;
    return { languages, judges, fetchedAt, problem };
  },
});

/** Fetches the languages unless that was done within the last minute, or 5 s while there are none. */
export const refresh = mutation({
  args: {},
  returns: v.null(),
  handler: async (ctx): Promise<null> => {
    const cached = await ctx.db.query("languages").first();
    const now = Date.now();
    if (cached) {
      const isUsable = cached.problem === undefined && cached.languages.length > 0;
      if (now - cached.requestedAt < (isUsable ? FRESH_MS : RETRY_MS)) {
        return null;
      }
    }
    await save(ctx, { requestedAt: now });
    await ctx.scheduler.runAfter(0, internal.languages.fetchList, {});
    return null;
  },
});

/** Calls `GET /v1/languages` of the ingress. */
export const fetchList = internalAction({
  args: {},
  returns: v.null(),
  handler: async (ctx): Promise<null> => {
    try {
      const answer = await callGavel("v1/languages", { method: "GET", headers: {} });
      if ("reason" in answer) {
        throw new Error(answer.reason.developer);
      }
      await ctx.runMutation(internal.languages.store, { list: parseList(answer) });
    } catch (error) {
      console.error(`Cannot fetch the languages. ${error instanceof Error ? error.message : String(error)}`);
      await ctx.runMutation(internal.languages.store, {});
    }
    return null;
  },
});

/** Stores a list of languages, or that there was none. */
export const store = internalMutation({
  args: { list: v.optional(vList) },
  returns: v.null(),
  handler: async (ctx, { list }): Promise<null> => {
    await save(ctx, list ? { ...list, fetchedAt: Date.now(), problem: undefined } : { problem: PROBLEM });
    return null;
  },
});

type Cache = Infer<typeof vList> & { requestedAt: number; fetchedAt: number; problem?: string };

async function save(ctx: MutationCtx, change: Partial<Cache>): Promise<void> {
  const cached = await ctx.db.query("languages").first();
  if (cached) {
    await ctx.db.patch("languages", cached._id, change);
  } else {
    await ctx.db.insert("languages", { languages: [], judges: 0, requestedAt: 0, fetchedAt: 0, ...change });
  }
}

/** Returns the fields that this package knows. Later versions of Gavel may send more. */
function parseList({ status, text }: { status: number; text: string }): Infer<typeof vList> {
  if (status !== 200) {
    throw new Error(`Gavel answered ${status} instead of 200: ${text}`);
  }
  const list = JSON.parse(text) as Partial<Wire["LanguagesResponse"]>;
  if (typeof list.judges !== "number" || !Array.isArray(list.languages)) {
    throw new Error(`Gavel answered no list of languages: ${text}`);
  }
  return {
    judges: list.judges,
    languages: list.languages.map(({ id, name, version, engines, judges }) => ({ id, name, version, engines, judges })),
  };
}
