// The browser may refuse storage (private windows, a full quota). The page works without it and forgets on reload.

/** Returns a stored text, or `null` if there is none. */
export function load(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

/** Stores a text, or removes it if it is `null`. */
export function save(key: string, text: string | null): void {
  try {
    if (text === null) localStorage.removeItem(key);
    else localStorage.setItem(key, text);
  } catch {
    // See above.
  }
}
