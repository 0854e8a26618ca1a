import type { ActionResult, Outcome } from "./types";
import { post } from "./client";

/** How far an action is. */
export interface Progress {
  outcomes: Outcome[];
  left: number;
  /** Why it stopped before the end. */
  problem?: string | undefined;
}

/**
 * Sends a request again while the console reports that something is left, because it works on one request for a limited time.
 * Ends early if `isStopped`, or if a request changes nothing.
 */
export async function runAction<R extends ActionResult>(
  path: string,
  body: unknown,
  onProgress: (progress: Progress, result: R) => void,
  isStopped: () => boolean = () => false,
): Promise<void> {
  const outcomes: Outcome[] = [];
  for (;;) {
    const result = await post<R>(path, body);
    outcomes.push(...result.results);
    onProgress({ outcomes: [...outcomes], left: result.left, problem: result.problem }, result);
    const hasChanged = result.results.some(({ outcome }) => outcome !== "refused");
    if (result.left === 0 || result.problem !== undefined || !hasChanged || isStopped()) return;
  }
}
