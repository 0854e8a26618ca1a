import { useEffect, useState } from "preact/hooks";

/** Time between two announcements, in milliseconds: a screen reader must be able to finish the previous one. */
const PAUSE_MS = 5_000;

/** Announces a sentence to screen readers when it changes, and at most every few seconds. */
export function Announcement({ text }: { text: string }) {
  const [announced, setAnnounced] = useState("");
  useEffect(() => {
    if (text === announced) return;
    const timer = setTimeout(() => setAnnounced(text), announced === "" ? 0 : PAUSE_MS);
    return () => clearTimeout(timer);
  }, [text, announced]);
  return (
    <p class="visually-hidden" role="status">
      {announced}
    </p>
  );
}
