import { useId } from "react";
import { parseCutText } from "./cutText.js";

/** A titled text of a program, with a note if Gavel has cut it. */
export function TextBlock({ title, field, name }: { title: string; field: string; name: string }) {
  const id = useId();
  const { text, totalBytes } = parseCutText(field);
  return (
    <section className="gavel-text" data-field={name} aria-labelledby={id}>
      <h4 id={id}>{title}</h4>
      {text === "" ? (
        <p className="gavel-empty">Empty</p>
      ) : (
        // Focusable, so that the keyboard can scroll it.
        // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex
        <pre tabIndex={0}>{text}</pre>
      )}
      {totalBytes !== undefined && (
        <p className="gavel-cut">Cut off. The whole text has {totalBytes.toLocaleString("en")} bytes.</p>
      )}
    </section>
  );
}
