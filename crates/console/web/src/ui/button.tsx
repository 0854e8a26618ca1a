import type { ButtonHTMLAttributes } from "preact";
import { useEffect, useState } from "preact/hooks";

interface ButtonProps extends ButtonHTMLAttributes {
  look?: "plain" | "primary" | "danger" | "quiet";
}

export function Button({ look = "plain", class: extra, ...rest }: ButtonProps) {
  return <button type="button" {...rest} class={`button ${look} ${typeof extra === "string" ? extra : ""}`} />;
}

/** How long a button shows that it has copied, in milliseconds. */
const COPIED_MS = 2_000;

/** Copies a text. `what` names it for screen readers. */
export function CopyButton({ text, what }: { text: string; what: string }) {
  const [state, setState] = useState<"ready" | "copied" | "refused">("ready");
  useEffect(() => {
    if (state === "ready") return;
    const timer = setTimeout(() => setState("ready"), COPIED_MS);
    return () => clearTimeout(timer);
  }, [state]);
  const copy = () => {
    // Without TLS and outside of loopback a page has no clipboard.
    const written =
      (navigator.clipboard as Clipboard | undefined)?.writeText(text) ?? Promise.reject(new Error("none"));
    written.then(
      () => setState("copied"),
      () => setState("refused"),
    );
  };
  const label = { ready: "Copy", copied: "Copied", refused: "Select and copy it" }[state];
  return (
    <Button look="quiet" class="copy" onClick={copy} aria-label={`${label}: ${what}`}>
      {label}
    </Button>
  );
}
