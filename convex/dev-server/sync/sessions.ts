import type { JSONValue } from "convex/values";
import type { Failure } from "../errors";

/** The answer to a mutation. */
export type MutationAnswer = { value: JSONValue; ts: bigint } | { failure: Failure };

const MAX_SESSIONS = 1000;
const MAX_ANSWERS = 1000;

/**
 * Remembers the answers to mutations by session and request id. A client that lost its connection sends its pending
 * mutations again; each runs once. The oldest sessions and answers are forgotten first.
 */
export class Sessions {
  readonly #sessions = new Map<string, Map<number, Promise<MutationAnswer>>>();

  /** Runs a mutation, or returns the answer of the run that was started before. */
  once(sessionId: string, requestId: number, run: () => Promise<MutationAnswer>): Promise<MutationAnswer> {
    const answers = this.#sessions.get(sessionId) ?? new Map<number, Promise<MutationAnswer>>();
    // Insertion order is age: put the session last.
    this.#sessions.delete(sessionId);
    remember(this.#sessions, sessionId, answers, MAX_SESSIONS);
    const known = answers.get(requestId);
    if (known !== undefined) return known;
    const answer = run();
    remember(answers, requestId, answer, MAX_ANSWERS);
    return answer;
  }
}

function remember<K, V>(map: Map<K, V>, key: K, value: V, limit: number): void {
  map.set(key, value);
  for (const oldest of map.keys()) {
    if (map.size <= limit) break;
    map.delete(oldest);
  }
}
