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

/**
 * One language for each toolchain, by name. Judges offer a toolchain under the Judge0 ids of several versions; of these
 * the current one stands for it, or one that the page knows, or the first.
 */
export function distinctLanguages(served: LanguageView[], currentId: number | undefined): LanguageView[] {
  const preference = ({ id }: LanguageView) => (id === currentId ? 2 : id in NAMES ? 1 : 0);
  const byToolchain = new Map<string, LanguageView>();
  for (const language of [...served].sort((a, b) => preference(b) - preference(a))) {
    const toolchain = `${language.name} ${language.version}`;
    if (!byToolchain.has(toolchain)) byToolchain.set(toolchain, language);
  }
  return [...byToolchain.values()].sort((a, b) => a.name.localeCompare(b.name));
}
