import workpool from "@convex-dev/workpool/convex.config.js";
import { defineComponent } from "convex/server";
import { v } from "convex/values";

const component = defineComponent("gavel", {
  env: {
    /** Base URL of Gavel's ingress, for example `https://judge.example.com`. */
    GAVEL_URL: v.optional(v.string()),
    /** One of the ingress's `INGRESS_KEYS`. */
    GAVEL_KEY: v.optional(v.string()),
  },
});
component.use(workpool, { name: "pool" });

export default component;
