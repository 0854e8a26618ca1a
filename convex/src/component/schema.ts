import { defineSchema, defineTable } from "convex/server";
import { v } from "convex/values";
import { vDetails, vKind, vLanguage, vQuestion, vStatus, vTestCase } from "./validators.js";

export default defineSchema({
  submissions: defineTable({
    userId: v.string(),
    questionId: v.string(),
    kind: vKind,
    languageId: v.number(),
    status: vStatus,
    /** Orders what Gavel reports, see `rank.ts`. 0 until the first callback. */
    rank: v.number(),
    /** A separate table, so that a change of status does not send the source again to those who watch it. */
    sourceId: v.id("sources"),
    traceId: v.string(),
    /** When the current series of watchdog checks began. A check of an earlier series does nothing. */
    watchedSince: v.optional(v.number()),
    /** When the ingress answered 202. */
    acceptedAt: v.optional(v.number()),
    runningAt: v.optional(v.number()),
    finishedAt: v.optional(v.number()),
    details: v.optional(vDetails),
  })
    // eslint-disable-next-line @convex-dev/no-duplicate-indexes -- Sorts the submissions of all questions by time.
    .index("by_user", ["userId"])
    .index("by_user_question", ["userId", "questionId"]),

  sources: defineTable({ text: v.string() }),

  questions: defineTable({ ...vQuestion.fields, hiddenCount: v.number() }),

  testCases: defineTable({ ...vTestCase.fields, questionId: v.id("questions"), order: v.number() })
    .index("by_question", ["questionId", "order"])
    .index("by_question_visibility", ["questionId", "visibility", "order"]),

  /** One document: the last answer of `GET /v1/languages`. */
  languages: defineTable({
    languages: v.array(vLanguage),
    judges: v.number(),
    requestedAt: v.number(),
    fetchedAt: v.number(),
    problem: v.optional(v.string()),
  }),

  /** The `webhook-id` of each test-case call, for as long as its signature stays valid. */
  seenCalls: defineTable({ webhookId: v.string(), expiresAt: v.number() })
    .index("by_webhook_id", ["webhookId"])
    .index("by_expiry", ["expiresAt"]),
});
