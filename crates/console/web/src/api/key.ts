// The key of the console. It is kept for this tab only, and is sent in the Authorization header only.

const STORED = "gavel-console-key";

/** The key that was entered in this tab. */
export function currentKey(): string | undefined {
  return sessionStorage.getItem(STORED) ?? undefined;
}

/** Keeps the key until the tab is closed; `undefined` removes it. */
export function keepKey(key: string | undefined): void {
  if (key === undefined) sessionStorage.removeItem(STORED);
  else sessionStorage.setItem(STORED, key);
}
