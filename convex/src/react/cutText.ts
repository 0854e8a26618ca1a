/** A text field of a result. Gavel cuts texts that exceed its limit and appends a marker. */
export type CutText = {
  text: string;
  /** The length of the whole text in bytes. Missing if the text is complete. */
  totalBytes?: number;
};

const MARKER = /\n\[cut: (\d+) bytes in all\]$/;

/** Separates the marker from a text field of a result. */
export function parseCutText(field: string): CutText {
  const match = MARKER.exec(field);
  if (match === null) return { text: field };
  const [text, totalBytes] = [field.slice(0, match.index), Number(match[1])];
  // A program can print the marker itself. Gavel's marker always names more bytes than are left.
  return totalBytes > new TextEncoder().encode(text).length ? { text, totalBytes } : { text: field };
}
