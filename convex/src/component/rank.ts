/**
 * The order of callbacks: a later generation is above an earlier one, and within a generation the result is above
 * *running*. A callback is applied only if its rank is higher than that of the submission, so neither a late nor a
 * repeated one changes anything.
 */
export function rankOf(generation: number, isFinal: boolean): number {
  return 2 * generation + (isFinal ? 1 : 0);
}

/** Returns the generation of a rank, 0 for the rank of a submission of which Gavel has reported nothing. */
export function generationOf(rank: number): number {
  return Math.floor(rank / 2);
}

export function isFinalStatus(status: string): boolean {
  return status !== "queued" && status !== "running";
}
