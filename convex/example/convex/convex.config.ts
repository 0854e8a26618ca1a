import gavel from "@gavel/convex/convex.config.js";
import { defineApp } from "convex/server";
import { v } from "convex/values";

const app = defineApp({
  env: {
    GAVEL_URL: v.optional(v.string()),
    GAVEL_KEY: v.optional(v.string()),
  },
});
app.use(gavel, { env: { GAVEL_URL: app.env.GAVEL_URL, GAVEL_KEY: app.env.GAVEL_KEY } });

export default app;
