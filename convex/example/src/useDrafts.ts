import { useState } from "react";
import { load, save } from "./storage";

/** The programs that the visitor writes for a question: one per language. They survive a reload. */
export function useDrafts(questionId: string) {
  const [drafts, setDrafts] = useState<Record<number, string>>({});
  const key = (languageId: number) => `gavel.draft.${questionId}.${languageId}`;
  return {
    read: (languageId: number): string => drafts[languageId] ?? load(key(languageId)) ?? "",
    write: (languageId: number, text: string) => {
      save(key(languageId), text === "" ? null : text);
      setDrafts((before) => ({ ...before, [languageId]: text }));
    },
  };
}
