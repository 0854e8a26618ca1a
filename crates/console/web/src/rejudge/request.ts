import type { RejudgeRequest } from "../api/types";

/** The fields of the form. */
export interface Fields {
  by: "ids" | "question";
  ids: string;
  question: string;
  since: string;
  reason: string;
}

/** The request that the fields describe; a sentence if they are incomplete. */
export function requestOf({ by, ids, question, since, reason }: Fields): RejudgeRequest | string {
  const why = reason.trim() === "" ? {} : { reason: reason.trim() };
  if (by === "ids") {
    const unique = [...new Set(ids.split(/[\s,]+/).filter((id) => id !== ""))];
    return unique.length === 0 ? "Enter the id of at least one submission." : { ids: unique, ...why };
  }
  if (question.trim() === "") return "Enter the id of the question.";
  if (since.trim() === "") return "Enter the start of the time range.";
  return { question: question.trim(), since: since.trim(), ...why };
}
