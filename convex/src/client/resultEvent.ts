import { v } from "convex/values";
import { vVerdict } from "../component/validators.js";

/**
 * The validator of a {@link ResultEvent}, for the arguments of the app's `onResult` mutation:
 *
 * ```ts
 * export const award = internalMutation({ args: vResultEvent.fields, handler: async (ctx, { userId, status }) => … });
 * ```
 */
export const vResultEvent = v.object({
  submissionId: v.string(),
  userId: v.string(),
  questionId: v.string(),
  status: vVerdict,
  generation: v.number(),
});
