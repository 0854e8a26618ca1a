import { useState } from "react";
import { starter } from "./starters";
import { load, save } from "./storage";

/** The programs that the visitor writes for a question: one per language. They survive a reload. */
export function useDrafts({ questionId, slug }: { questionId: string; slug: string }) {
  const [drafts, setDrafts] = useState<Record<number, string>>({});
  const key = (languageId: number) => `gavel.draft.${questionId}.${languageId}`;
  return {
    read: (languageId: number): string => drafts[languageId] ?? load(key(languageId)) ?? starter(slug, languageId),
    write: (languageId: number, text: string) => {
      save(key(languageId), text === "" ? null : text);
      setDrafts((before) => ({ ...before, [languageId]: text }));
    },
  };
}
