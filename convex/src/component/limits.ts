/** The largest source in bytes of UTF-8 (the ingress's default of `MAX_SOURCE_BYTES`). */
export const MAX_SOURCE_BYTES = 200_000;

/**
 * The largest text field of a result in bytes. Gavel's own limit is 8 KiB by default. Six fields of this size stay
 * under a tenth of the 1 MiB that a document may have, and a page of 100 submissions under the 16 MiB that a query may
 * read.
 */
export const MAX_TEXT_BYTES = 16 * 1024;

/** The largest page of submissions. */
export const MAX_PAGE_ITEMS = 100;

/** The most test cases of one question. Gavel accepts 50 by default (`MAX_TESTCASES`). */
export const MAX_TEST_CASES = 500;

const MAX_ID_BYTES = 128;
const TRUNCATION_MARKER = "\n… (truncated)";

/** Returns the length in bytes of UTF-8. */
export function byteLength(text: string): number {
  return new TextEncoder().encode(text).length;
}

/** Returns false if the text has a surrogate without its partner, which UTF-8 cannot represent. */
export function isWellFormed(text: string): boolean {
  return !/\p{Surrogate}/u.test(text);
}

/**
 * Shortens a text to `MAX_TEXT_BYTES` at a character boundary, with a marker at the end, and replaces lone surrogates,
 * which no document can hold.
 */
export function boundedText(text: string): string {
  const bytes = new TextEncoder().encode(text);
  if (bytes.length <= MAX_TEXT_BYTES) {
    return new TextDecoder().decode(bytes);
  }
  let end = MAX_TEXT_BYTES - byteLength(TRUNCATION_MARKER);
  // 10xxxxxx continues a character.
  while ((bytes[end]! & 0xc0) === 0x80) {
    end -= 1;
  }
  return new TextDecoder().decode(bytes.subarray(0, end)) + TRUNCATION_MARKER;
}

/** Returns whether Gavel accepts the id: one token of a NATS subject, at most 128 bytes. */
export function isUsableId(id: string): boolean {
  return id !== "" && byteLength(id) <= MAX_ID_BYTES && !/[\s.*>\p{Control}\p{Surrogate}]/u.test(id);
}
