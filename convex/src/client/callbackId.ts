/** What a `webhook-id` of Gavel says. */
export type CallbackId = {
  /** `running`, `result`, `last-word` (a result that is sent again), or `testcases`. */
  kind: string;
  /** The submission of the callback. For `testcases` a random text. */
  key: string;
  /** 1 for the first judging, one more for each rejudge. */
  generation: number;
};

const KINDS = ["running", "result", "last-word", "testcases", "doctor"];

/**
 * Parses a `webhook-id` of Gavel: `KIND-KEY`. The key is the submission id, with `.n` at its end from generation 2 on.
 * Characters other than ASCII letters, digits, `-` and `_` are escaped as `~` and the two hexadecimal digits of each of
 * their bytes, so the third generation of `k97` is `k97~2e3`. Returns undefined if the id has another form.
 */
export function parseCallbackId(id: string): CallbackId | undefined {
  const kind = KINDS.find((kind) => id.startsWith(`${kind}-`));
  if (!kind || !/^(?:[A-Za-z0-9_-]|~[0-9a-f]{2})+$/.test(id)) {
    return undefined;
  }
  const text = decodeKey(id.slice(kind.length + 1));
  if (text === undefined) {
    return undefined;
  }
  const [key = "", suffix, ...rest] = text.split(".");
  const generation = suffix === undefined ? 1 : Number(suffix);
  const isGeneration = suffix === undefined || (/^[1-9][0-9]*$/.test(suffix) && generation > 1);
  return key && isGeneration && Number.isSafeInteger(generation) && rest.length === 0
    ? { kind, key, generation }
    : undefined;
}

function decodeKey(text: string): string | undefined {
  const bytes = text.match(/~[0-9a-f]{2}|./g) ?? [];
  const values = bytes.map((byte) => (byte.startsWith("~") ? parseInt(byte.slice(1), 16) : byte.charCodeAt(0)));
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(Uint8Array.from(values));
  } catch {
    return undefined;
  }
}
