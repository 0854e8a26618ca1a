import { usePaginatedQuery } from "convex-helpers/react";
import { useConvexConnectionState, useMutation, useQuery } from "convex/react";
import { useEffect } from "react";
import type { LanguagesView, SubmissionView } from "../client/types.js";
import { useGavelFunctions } from "./provider.js";
import { isFinal } from "./verdict.js";

/** The number of submissions on a page of {@link useSubmissions}. */
export const PAGE_SIZE = 10;

/** A submission as it is now, and whether it can still change. */
export type SubmissionState = {
  /** `undefined` while it loads, `null` if it does not exist or belongs to another user. */
  submission: SubmissionView | null | undefined;
  /** Whether the submission has a verdict. A rejudge can still change it. */
  isFinal: boolean;
  /** Whether updates arrive. If not, `submission` is the last known state. */
  isConnected: boolean;
};

/**
 * Subscribes to a submission.
 *
 * @param submissionId - The id that `submit` returned, or `undefined` if there is none yet.
 */
export function useSubmission(submissionId: string | undefined): SubmissionState {
  const { submission: query } = useGavelFunctions();
  const submission = useQuery(query, submissionId === undefined ? "skip" : { submissionId });
  const { isWebSocketConnected } = useConvexConnectionState();
  return { submission, isFinal: !!submission && isFinal(submission.status), isConnected: isWebSocketConnected };
}

/**
 * Subscribes to the user's submissions, newest first, a page at a time. `loadMore(PAGE_SIZE)` adds a page.
 *
 * @param questionId - Only the submissions for this question.
 */
export function useSubmissions(questionId?: string) {
  const { submissions } = useGavelFunctions();
  return usePaginatedQuery(submissions, questionId === undefined ? {} : { questionId }, {
    initialNumItems: PAGE_SIZE,
  });
}

/** Milliseconds between two requests to refresh the languages: while some are known, and while none are. */
const REFRESH_INTERVAL = { known: 65_000, unknown: 6_000 };

/**
 * Subscribes to the languages that the running judges offer, and has the backend refresh them while the page is visible.
 * Returns `undefined` while they load and `null` if they have never been fetched.
 */
export function useLanguages(): LanguagesView | null | undefined {
  const functions = useGavelFunctions();
  const languages = useQuery(functions.languages, {});
  const refresh = useMutation(functions.refreshLanguages);
  const isKnown = !!languages?.languages.length && languages.problem === undefined;
  useEffect(() => {
    let isPending = false;
    const run = () => {
      // While the connection is lost, requests would pile up.
      if (isPending || document.visibilityState === "hidden") return;
      isPending = true;
      // A failure leaves the last known languages in place; the query reports it as `problem`.
      void refresh({})
        .catch(() => {})
        .finally(() => (isPending = false));
    };
    run();
    const timer = setInterval(run, REFRESH_INTERVAL[isKnown ? "known" : "unknown"]);
    document.addEventListener("visibilitychange", run);
    return () => {
      clearInterval(timer);
      document.removeEventListener("visibilitychange", run);
    };
  }, [refresh, isKnown]);
  return languages;
}
