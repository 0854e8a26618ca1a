import type { LanguageView } from "@gavel/convex/react";

/** A language of the picker. `id` is a Judge0 language id. */
export type Language = { id: number; name: string };

/** Names of the languages that no judge may offer at the moment, by Judge0 id. */
const NAMES: Record<number, string> = {
  50: "C",
  51: "C#",
  52: "C++",
  54: "C++",
  60: "Go",
  61: "Haskell",
  62: "Java",
  63: "JavaScript",
  68: "PHP",
  70: "Python 2",
  71: "Python 3",
  72: "Ruby",
  73: "Rust",
  74: "TypeScript",
  78: "Kotlin",
  83: "Swift",
};

/** The name of a language, as the judges call it or as the page knows it. */
export function languageName(served: LanguageView[], id: number): string {
  return served.find((language) => language.id === id)?.name ?? NAMES[id] ?? `Language ${id}`;
}
