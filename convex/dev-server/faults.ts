/** A fault to inject into the answers to HTTP requests. */
export interface Fault {
  /** Answer with this status, without running the HTTP action. */
  status?: number;
  /** Run the HTTP action, then reset the connection instead of answering. */
  dropAnswer?: boolean;
  /** Wait before anything else, in milliseconds. */
  delayMs?: number;
  /** The requests that the fault applies to, by path. All if absent. */
  paths?: RegExp;
  /** For how many requests the fault applies. Until {@link Faults.clear} if absent. */
  times?: number;
}

/** Injects faults into the answers to HTTP requests: real backends fail too. */
export class Faults {
  #fault: Fault | null = null;
  #left = Infinity;

  /** Injects a fault. Replaces the previous one. */
  set(fault: Fault): void {
    this.#fault = fault;
    this.#left = fault.times ?? Infinity;
  }

  /** Stops the injection. */
  clear(): void {
    this.#fault = null;
  }

  /** Returns the fault for a request and counts it. */
  take(path: string): Fault | null {
    const fault = this.#fault;
    if (fault === null || this.#left <= 0 || (fault.paths !== undefined && path.search(fault.paths) < 0)) return null;
    this.#left -= 1;
    return fault;
  }
}
