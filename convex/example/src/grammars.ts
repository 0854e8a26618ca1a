import { StreamLanguage, type StreamParser } from "@codemirror/language";
import type { Extension } from "@codemirror/state";

const python = async () => (await import("@codemirror/lang-python")).python();
const cpp = async () => (await import("@codemirror/lang-cpp")).cpp();
const clike = () => import("@codemirror/legacy-modes/mode/clike");

/** Makes an extension of one of CodeMirror's older grammars. */
function legacy(parser: StreamParser<unknown>): Extension {
  return StreamLanguage.define(parser);
}

/** By Judge0 id. Each grammar is loaded when it is needed. */
const GRAMMARS: Record<number, () => Promise<Extension>> = {
  50: cpp,
  51: async () => legacy((await clike()).csharp),
  52: cpp,
  54: cpp,
  60: async () => legacy((await import("@codemirror/legacy-modes/mode/go")).go),
  61: async () => legacy((await import("@codemirror/legacy-modes/mode/haskell")).haskell),
  62: async () => (await import("@codemirror/lang-java")).java(),
  63: async () => (await import("@codemirror/lang-javascript")).javascript(),
  68: async () => (await import("@codemirror/lang-php")).php(),
  70: python,
  71: python,
  72: async () => legacy((await import("@codemirror/legacy-modes/mode/ruby")).ruby),
  73: async () => (await import("@codemirror/lang-rust")).rust(),
  74: async () => (await import("@codemirror/lang-javascript")).javascript({ typescript: true }),
  78: async () => legacy((await clike()).kotlin),
  83: async () => legacy((await import("@codemirror/legacy-modes/mode/swift")).swift),
};

/** Loads the grammar of a language. `null` if there is none: the editor then shows plain text. */
export async function loadGrammar(languageId: number): Promise<Extension | null> {
  try {
    return (await GRAMMARS[languageId]?.()) ?? null;
  } catch {
    // The connection broke. Colours are not worth an error.
    return null;
  }
}
