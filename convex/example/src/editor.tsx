import type { Extension } from "@codemirror/state";
import { EditorView } from "@codemirror/view";
import CodeMirror, { type BasicSetupOptions } from "@uiw/react-codemirror";
import { useEffect, useMemo, useState } from "react";
import { editorTheme } from "./editorTheme";
import { loadGrammar } from "./grammars";

const SETUP: BasicSetupOptions = { autocompletion: false, foldGutter: false, lintKeymap: false, tabSize: 4 };

type Props = {
  languageId: number;
  text: string;
  onChange: (text: string) => void;
  /** Id of the element that explains the keys. */
  describedBy: string;
};

/** The code editor. */
export default function Editor({ languageId, text, onChange, describedBy }: Props) {
  const grammar = useGrammar(languageId);
  const extensions = useMemo(
    () => [
      ...(grammar === null ? [] : [grammar]),
      EditorView.contentAttributes.of({ "aria-label": "Your program", "aria-describedby": describedBy, tabindex: "0" }),
      EditorView.lineWrapping,
    ],
    [grammar, describedBy],
  );
  return (
    <CodeMirror
      className="editor"
      value={text}
      onChange={onChange}
      theme={editorTheme}
      extensions={extensions}
      basicSetup={SETUP}
      placeholder="Read standard input, print to standard output."
    />
  );
}

function useGrammar(languageId: number): Extension | null {
  const [loaded, setLoaded] = useState<{ languageId: number; grammar: Extension | null }>();
  useEffect(() => {
    let isCurrent = true;
    void loadGrammar(languageId).then((grammar) => {
      if (isCurrent) setLoaded({ languageId, grammar });
    });
    return () => void (isCurrent = false);
  }, [languageId]);
  return loaded?.languageId === languageId ? loaded.grammar : null;
}
