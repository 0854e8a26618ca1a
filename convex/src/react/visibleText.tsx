import { Fragment } from "react";

/** Runs of characters that cannot be seen: white space, control and format characters. */
const INVISIBLE = /( +|\t+|\n|[^\P{Cc}\t\n]+|(?:(?! )[\p{Z}\p{Cf}])+)/u;

/** Shows a text with visible white space: `·` for a space, `→` for a tab, `↵` for a line end. */
export function VisibleText({ text }: { text: string }) {
  // A split by one group alternates between plain text and what the group matched.
  return text.split(INVISIBLE).map((piece, index) =>
    index % 2 === 0 ? (
      <Fragment key={index}>{piece}</Fragment>
    ) : (
      <span key={index} className="gavel-invisible">
        {Array.from(piece, symbol).join("")}
      </span>
    ),
  );
}

function symbol(character: string): string {
  switch (character) {
    case " ":
      return "·";
    case "\t":
      return "→";
    case "\n":
      return "↵";
    case "\x7f":
      return "␡";
  }
  const code = character.charCodeAt(0);
  // Unicode has a picture for each control character. Other invisible characters are shown by their number.
  if (code < 0x20) return String.fromCharCode(0x2400 + code);
  return `[U+${code.toString(16).toUpperCase().padStart(4, "0")}]`;
}
