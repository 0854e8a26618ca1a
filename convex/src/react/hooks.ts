import { useConvexConnectionState, useMutation, usePaginatedQuery, useQuery } from "convex/react";
import { useEffect } from "react";
import type { LanguagesView, SubmissionView } from "../client/types.js";
import { useGavelFunctions } from "./provider.js";
import { isFinal } from "./verdict.js";

/** The number of submissions on a page of {@link useSubmissions}. */
export const PAGE_SIZE = 10;

/** A submission as it is now, and whether it can still change. */
export type SubmissionState = {
  /** `undefined` while it loads, `null` if it does not exist or belongs to somebody else. */
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

/**
 * Subscribes to the languages that the running judges offer, and asks the backend to refresh them.
 * Returns `undefined` while they load and `null` if they have never been fetched.
 */
export function useLanguages(): LanguagesView | null | undefined {
  const { languages, refreshLanguages } = useGavelFunctions();
  const refresh = useMutation(refreshLanguages);
  useEffect(() => {
    // A failure leaves the last known languages in place; the query reports it as `problem`.
    refresh({}).catch(() => {});
  }, [refresh]);
  return useQuery(languages, {});
}
