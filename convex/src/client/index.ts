/**
 * A Convex component that sends code submissions to Gavel and stores their verdicts.
 *
 * @module
 */
export type { ApiOptions } from "./api.js";
export { parseCallbackId, type CallbackId } from "./callbackId.js";
export { Gavel, type MutationRunner, type QueryRunner, type SubmitError } from "./gavel.js";
export { vResultEvent } from "./resultEvent.js";
export { registerRoutes, type RouteOptions } from "./routes.js";
export type * from "./types.js";
export { verifyCallback, type Verified, type VerifyOptions } from "./verify.js";
