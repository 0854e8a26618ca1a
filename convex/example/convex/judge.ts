import { Gavel } from "@gavel/convex";
import { components } from "./_generated/api.js";
import type { DataModel } from "./_generated/dataModel.js";

export const gavel = new Gavel(components.gavel);

export const { submit, submission, submissions, source, testCases, languages, refreshLanguages } = gavel.api<DataModel>(
  {
    userId: async (ctx) => (await ctx.auth.getUserIdentity())?.tokenIdentifier ?? null,
  },
);
