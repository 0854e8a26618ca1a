import { registerRoutes } from "@gavel/convex";
import { httpRouter } from "convex/server";
import { components } from "./_generated/api.js";

const http = httpRouter();
registerRoutes(http, components.gavel);

export default http;
