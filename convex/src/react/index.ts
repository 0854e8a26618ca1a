/**
 * React hooks and components for pages that show submissions. They bring no stylesheet: class names begin with `gavel-`,
 * and `data-state` and `data-status` say what to style.
 *
 * @module
 */
export type { FirstFailure as FirstFailureFields, LanguageView, LanguagesView } from "../client/types.js";
export type { SubmissionStatus as SubmissionStatusName, SubmissionView } from "../client/types.js";
export { FirstFailure } from "./firstFailure.js";
export { PAGE_SIZE, useLanguages, useSubmission, useSubmissions, type SubmissionState } from "./hooks.js";
export { GavelProvider, type GavelFunctions } from "./provider.js";
export { SubmissionStatus } from "./submissionStatus.js";
export { TestChips } from "./testChips.js";
export { isFinal, score, verdictName } from "./verdict.js";
