import type { LanguagesView } from "@gavel/convex/react";
import { useState } from "react";
import { distinctLanguages, languageName, type Language } from "./languages";
import { load, save } from "./storage";

const KEY = "gavel.language";
/** Python 3: the first choice of a new visitor, if a judge offers it. */
const FIRST_ID = 71;

/** The language that the visitor writes in, and those to choose from. */
export type LanguageChoice = {
  /** Missing if no judge offers a language and none was chosen before. */
  current?: Language;
  /** Whether a judge offers the current language. */
  isServed: boolean;
  options: Language[];
  choose: (id: number) => void;
};

/**
 * Chooses among the languages that judges offer. The choice is kept. It stays if judges stop offering it, so that the
 * program stays in the editor.
 */
export function useLanguageChoice(view: LanguagesView | null | undefined): LanguageChoice {
  const [chosenId, setChosenId] = useState(() => parseId(load(KEY)));
  const served = view?.languages ?? [];
  const id = chosenId ?? (served.find((language) => language.id === FIRST_ID) ?? served[0])?.id;
  const isServed = served.some((language) => language.id === id);
  const choose = (choice: number) => {
    save(KEY, String(choice));
    setChosenId(choice);
  };
  if (id === undefined) return { isServed, options: [], choose };
  const current = { id, name: languageName(served, id) };
  const options = distinctLanguages(served, id);
  return { current, isServed, options: isServed ? options : [current, ...options], choose };
}

function parseId(text: string | null): number | undefined {
  const id = Number(text);
  return Number.isInteger(id) && id > 0 ? id : undefined;
}
