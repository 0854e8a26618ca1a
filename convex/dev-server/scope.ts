import { AsyncLocalStorage } from "node:async_hooks";

// The longest delay that setTimeout accepts. Node.js runs a timer with a longer delay at once.
const MAX_DELAY_MS = 2 ** 31 - 1;

const scopes = new AsyncLocalStorage<Scope>();
const pageJournals = new AsyncLocalStorage<PageJournal>();

/**
 * Owns the timers of one deployment. convex-test starts scheduled functions by `setTimeout` and has no way to
 * cancel them, so every timer that starts inside {@link Scope.run} is recorded and cleared by {@link Scope.close}.
 */
export class Scope {
  readonly #timers = new Set<NodeJS.Timeout>();
  #closed = false;

  constructor() {
    trackTimers();
  }

  /** Runs a function, and everything that it starts, inside this scope. */
  run<T>(body: () => T): T {
    return scopes.run(this, body);
  }

  /** Starts a timer; after {@link Scope.close}, returns one that never fires. */
  setTimer(start: typeof setTimeout, callback: () => void, delayMs: number): NodeJS.Timeout {
    const timer = start(
      () => {
        this.#timers.delete(timer);
        callback();
      },
      Math.min(delayMs, MAX_DELAY_MS),
    );
    if (this.#closed) clearTimeout(timer);
    else this.#timers.add(timer);
    return timer;
  }

  /** Clears all timers. Timers that are started later never fire. */
  close(): void {
    this.#closed = true;
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
  }
}

/**
 * Where a paginated query ended. Convex calls it the query's journal: a query that runs again ends its page at the
 * same document, so that pages neither overlap nor leave a gap.
 */
export interface PageJournal {
  endCursor?: string;
}

/** Runs a query so that its `paginate()` ends at the journal's cursor, or stores its end there. */
export function withPageJournal<T>(journal: PageJournal, body: () => T): T {
  return pageJournals.run(journal, body);
}

let timersTracked = false;

function trackTimers(): void {
  if (timersTracked) return;
  timersTracked = true;
  const start = globalThis.setTimeout;
  const tracked = (callback: (...args: unknown[]) => void, delayMs = 0, ...args: unknown[]) => {
    const scope = scopes.getStore();
    if (scope === undefined) return start(callback, delayMs, ...args);
    return scope.setTimer(start, () => callback(...args), delayMs);
  };
  // Keeps setTimeout[util.promisify.custom].
  Object.defineProperties(tracked, Object.getOwnPropertyDescriptors(start));
  globalThis.setTimeout = tracked as typeof setTimeout;
}

interface Syscalls {
  syscall: unknown;
  asyncSyscall: (op: string, args: string) => Promise<string>;
  jsSyscall: unknown;
}

const hooked = new WeakSet<Syscalls>();

/**
 * Adds to convex-test what it lacks of `paginate()`: journals, and the refusal of calls from a component. Call it
 * after `convexTest()`, which installs the global object that the `convex` package calls.
 */
export function hookPagination(): void {
  const holder = globalThis as unknown as { Convex: Syscalls };
  const original = holder.Convex;
  if (hooked.has(original)) return;
  holder.Convex = {
    get syscall() {
      return original.syscall;
    },
    get asyncSyscall() {
      const inner = original.asyncSyscall;
      return (op: string, args: string) => (op === "1.0/queryPage" ? queryPage(inner, args) : inner(op, args));
    },
    get jsSyscall() {
      return original.jsSyscall;
    },
  };
  hooked.add(holder.Convex);
}

async function queryPage(inner: Syscalls["asyncSyscall"], json: string): Promise<string> {
  const caller = JSON.parse(await inner("1.0/getFunctionMetadata", "{}")) as { componentPath: string };
  if (caller.componentPath !== "") throw new Error("paginate() is only supported in the app.");
  const journal = pageJournals.getStore();
  if (journal === undefined) return inner("1.0/queryPage", json);
  const args = JSON.parse(json) as { endCursor?: string | null };
  const page = await inner(
    "1.0/queryPage",
    JSON.stringify({ ...args, endCursor: args.endCursor ?? journal.endCursor }),
  );
  journal.endCursor = (JSON.parse(page) as { continueCursor: string }).continueCursor;
  return page;
}
