import { defineSchema, defineTable } from "convex/server";
import { v } from "convex/values";

export default defineSchema({
  /** What learners read. Limits and test cases are in the tables of the component, under `questionId`. */
  questions: defineTable({
    slug: v.string(),
    kind: v.union(v.literal("standard"), v.literal("personalized")),
    questionId: v.string(),
    order: v.number(),
    title: v.string(),
    statement: v.string(),
    timeLimitSeconds: v.number(),
    memoryLimitMb: v.number(),
  })
    .index("by_slug", ["slug"])
    .index("by_order", ["order"]),
});
