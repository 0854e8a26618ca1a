import type { SubmissionView } from "@gavel/convex/react";
import { useConvex } from "convex/react";
import { useEffect, useRef, useState } from "react";
import { api } from "../convex/_generated/api";
import { errorText } from "./errorText";
import type { useDrafts } from "./useDrafts";

/** A draft that the source of a submission has replaced. */
type Replaced = { languageId: number; text: string };

/** Puts the source of a submission into the editor, and back what was there. */
export function useSourceLoader(drafts: ReturnType<typeof useDrafts>, chooseLanguage: (id: number) => void) {
  const convex = useConvex();
  const [replaced, setReplaced] = useState<Replaced>();
  const [error, setError] = useState<string>();
  // The answer can take long. Then the visitor has typed more, loaded another source, or left the question.
  const latestDrafts = useRef(drafts);
  useEffect(() => void (latestDrafts.current = drafts));
  const latestLoad = useRef<symbol>(undefined);
  useEffect(() => () => void (latestLoad.current = undefined), []);
  const put = ({ languageId, text }: Replaced) => {
    drafts.write(languageId, text);
    chooseLanguage(languageId);
  };
  return {
    error,
    /** Whether the editor holds a loaded source whose loading can be undone. */
    isLoaded: replaced !== undefined,
    load: async ({ submissionId, languageId }: SubmissionView) => {
      const load = (latestLoad.current = Symbol());
      setError(undefined);
      try {
        const text = await convex.query(api.judge.source, { submissionId });
        if (latestLoad.current !== load) return;
        if (text === null) return setError("The source of this submission is not available.");
        setReplaced({ languageId, text: latestDrafts.current.read(languageId) });
        put({ languageId, text });
      } catch (cause) {
        if (latestLoad.current === load) setError(errorText(cause));
      }
    },
    undo: () => {
      if (replaced !== undefined) put(replaced);
      setReplaced(undefined);
    },
    /** Hides the offer to undo. */
    dismiss: () => setReplaced(undefined),
  };
}
