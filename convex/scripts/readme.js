/**
 * The files that a text in Markdown shows: blocks of TypeScript whose first line is a comment with the file's path, such
 * as `// convex/http.ts`. Blocks with the same path are joined.
 *
 * @param {string} markdown
 * @returns {Map<string, string>} the content of each file, by its path
 */
export function filesOf(markdown) {
  /** @type {Map<string, string>} */
  const files = new Map();
  for (const [, path = "", text = ""] of markdown.matchAll(/^```tsx?\n\/\/ ([\w./-]+\.tsx?)\b.*\n([^]*?)^```$/gm)) {
    files.set(path, (files.get(path) ?? "") + text);
  }
  return files;
}
