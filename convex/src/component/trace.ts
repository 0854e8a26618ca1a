/** Returns a trace id of W3C Trace Context. It identifies, but protects nothing: a seeded generator is enough. */
export function newTraceId(): string {
  return randomHex(32);
}

/** Returns a `traceparent` header with a new span, sampled, so that the trace of each submission is recorded. */
export function traceparent(traceId: string): string {
  return `00-${traceId}-${randomHex(16)}-01`;
}

function randomHex(digits: number): string {
  return Array.from({ length: digits }, () => Math.floor(Math.random() * 16).toString(16)).join("");
}
