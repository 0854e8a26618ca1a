import type { FunctionReference, PaginationOptions, PaginationResult } from "convex/server";
import { createContext, useContext, type ReactNode } from "react";
import type { LanguagesView, SubmissionView } from "../client/types.js";

type NoArgs = Record<string, never>;

/** The functions that the hooks call: those of `gavel.api()`, for example `api.judge`. */
export type GavelFunctions = {
  submission: FunctionReference<"query", "public", { submissionId: string }, SubmissionView | null>;
  submissions: FunctionReference<
    "query",
    "public",
    { questionId?: string; paginationOpts: PaginationOptions },
    PaginationResult<SubmissionView>
  >;
  languages: FunctionReference<"query", "public", NoArgs, LanguagesView | null>;
  refreshLanguages: FunctionReference<"mutation", "public", NoArgs, unknown>;
};

const Functions = createContext<GavelFunctions | null>(null);

/**
 * Tells the hooks of this package which functions of the app to call. It belongs inside the app's `ConvexProvider`.
 *
 * @param props.api - The module that exports the functions of `gavel.api()`, for example `api.judge`.
 */
export function GavelProvider({ api, children }: { api: GavelFunctions; children: ReactNode }) {
  return <Functions.Provider value={api}>{children}</Functions.Provider>;
}

/** Returns the functions of the nearest provider. Throws if there is none. */
export function useGavelFunctions(): GavelFunctions {
  const functions = useContext(Functions);
  if (functions === null) {
    throw new Error("No <GavelProvider> above this component. Wrap the app in <GavelProvider api={api.judge}>.");
  }
  return functions;
}
