import { useMutation } from "convex/react";
import { useEffect, useRef, useState } from "react";
import { api } from "../convex/_generated/api";
import { errorText } from "./errorText";

/** What to submit. */
export type Program = {
  questionId: string;
  kind: "standard" | "personalized";
  languageId: number;
  sourceCode: string;
};

/**
 * Sends one program at a time.
 *
 * @param onSubmitted - Called with the id of the new submission, unless the page has left the question meanwhile.
 */
export function useSubmit(onSubmitted: (submissionId: string) => void) {
  const submit = useMutation(api.judge.submit);
  const [isSending, setIsSending] = useState(false);
  const [error, setError] = useState<string>();
  // The state changes with the next render. A second click can come before that.
  const isBusy = useRef(false);
  const isShown = useRef(true);
  useEffect(() => {
    isShown.current = true;
    return () => void (isShown.current = false);
  }, []);

  const send = async (program: Program) => {
    if (isBusy.current) return;
    isBusy.current = true;
    setIsSending(true);
    setError(undefined);
    try {
      const submissionId = await submit(program);
      if (isShown.current) onSubmitted(submissionId);
    } catch (cause) {
      setError(errorText(cause));
    } finally {
      isBusy.current = false;
      setIsSending(false);
    }
  };
  return { send, isSending, error };
}
