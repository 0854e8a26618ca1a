import { useSyncExternalStore } from "react";

/** The page that the hash of the address names. */
export type Route =
  { page: "questions" } | { page: "solve"; slug: string; submissionId?: string } | { page: "unknown" };

/** Parses the hash of an address, for example `#/questions/sum/submissions/k97…`. */
export function parseRoute(hash: string): Route {
  const parts = hash.replace(/^#/, "").split("/").filter(Boolean).map(decode);
  if (parts.length === 0) return { page: "questions" };
  const [questions, slug, submissions, submissionId] = parts;
  if (questions !== "questions" || !slug) return { page: "unknown" };
  if (parts.length === 2) return { page: "solve", slug };
  if (parts.length === 4 && submissions === "submissions" && submissionId) return { page: "solve", slug, submissionId };
  return { page: "unknown" };
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** The address of the list of questions. */
export const QUESTIONS = "#/";

/** The address of a question, or of a submission for it. */
export function solveAddress(slug: string, submissionId?: string): string {
  const question = `#/questions/${encodeURIComponent(slug)}`;
  return submissionId === undefined ? question : `${question}/submissions/${encodeURIComponent(submissionId)}`;
}

/** Goes to an address of this page. The browser's back button returns. */
export function navigate(address: string): void {
  window.location.hash = address;
}

/** The current route. */
export function useRoute(): Route {
  return parseRoute(useSyncExternalStore(subscribe, () => window.location.hash));
}

function subscribe(onChange: () => void): () => void {
  window.addEventListener("hashchange", onChange);
  return () => window.removeEventListener("hashchange", onChange);
}
