/* eslint-disable */
/**
 * Generated `api` utility.
 *
 * THIS CODE IS AUTOMATICALLY GENERATED.
 *
 * To regenerate, run `npx convex dev`.
 * @module
 */

import type * as callbacks from "../callbacks.js";
import type * as crons from "../crons.js";
import type * as cursor from "../cursor.js";
import type * as ingress from "../ingress.js";
import type * as languages from "../languages.js";
import type * as limits from "../limits.js";
import type * as questions from "../questions.js";
import type * as rank from "../rank.js";
import type * as reasons from "../reasons.js";
import type * as replays from "../replays.js";
import type * as send from "../send.js";
import type * as submissions from "../submissions.js";
import type * as trace from "../trace.js";
import type * as validators from "../validators.js";
import type * as view from "../view.js";
import type * as watchdog from "../watchdog.js";

import type {
  ApiFromModules,
  FilterApi,
  FunctionReference,
} from "convex/server";
import { anyApi, componentsGeneric } from "convex/server";

const fullApi: ApiFromModules<{
  callbacks: typeof callbacks;
  crons: typeof crons;
  cursor: typeof cursor;
  ingress: typeof ingress;
  languages: typeof languages;
  limits: typeof limits;
  questions: typeof questions;
  rank: typeof rank;
  reasons: typeof reasons;
  replays: typeof replays;
  send: typeof send;
  submissions: typeof submissions;
  trace: typeof trace;
  validators: typeof validators;
  view: typeof view;
  watchdog: typeof watchdog;
}> = anyApi as any;

/**
 * A utility for referencing Convex functions in your app's public API.
 *
 * Usage:
 * ```js
 * const myFunctionReference = api.myModule.myFunction;
 * ```
 */
export const api: FilterApi<
  typeof fullApi,
  FunctionReference<any, "public">
> = anyApi as any;

/**
 * A utility for referencing Convex functions in your app's internal API.
 *
 * Usage:
 * ```js
 * const myFunctionReference = internal.myModule.myFunction;
 * ```
 */
export const internal: FilterApi<
  typeof fullApi,
  FunctionReference<any, "internal">
> = anyApi as any;

export const components = componentsGeneric() as unknown as {
  pool: import("@convex-dev/workpool/_generated/component.js").ComponentApi<"pool">;
};
