import { ConvexClient } from "convex/browser";
import { useCallback, useMemo, useState } from "react";
import { api } from "../convex/_generated/api";
import { load, save } from "./storage";

/** The deployment that serves the functions. By default the server of this page. */
export const DEPLOYMENT_URL = (import.meta.env.VITE_CONVEX_URL as string | undefined) ?? window.location.origin;

const KEY = "gavel.token";

/** Milliseconds before its expiry at which a stored token is renewed before its use. */
const LEEWAY = 60_000;

/** Whether a stored token can be used as it is. Does not check its signature. */
export function isUsable(token: string | null, now = Date.now()): token is string {
  if (token === null) return false;
  try {
    const payload = token.split(".")[1] ?? "";
    const { exp } = JSON.parse(atob(payload.replace(/-/g, "+").replace(/_/g, "/"))) as { exp?: unknown };
    return typeof exp === "number" && exp * 1000 - LEEWAY > now;
  } catch {
    return false;
  }
}

/**
 * Returns a token for this visitor: the stored one, a renewed one, or that of a new visitor. Throws if the deployment
 * refuses.
 */
async function fetchToken(forceRefreshToken: boolean): Promise<string> {
  const before = load(KEY);
  // Tabs share the token. Without the lock, two of them could sign in as two visitors.
  return withLock(async () => {
    const stored = load(KEY);
    if (isUsable(stored) && (!forceRefreshToken || stored !== before)) return stored;
    const token = await requestToken(stored);
    save(KEY, token);
    return token;
  });
}

async function withLock<T>(run: () => Promise<T>): Promise<T> {
  // Only secure contexts have locks: https, and http on the local machine.
  const locks = navigator.locks as LockManager | undefined;
  return locks === undefined ? run() : await locks.request(KEY, run);
}

async function requestToken(stored: string | null): Promise<string> {
  // A separate connection, since that of the page is paused while it waits for a token.
  const client = new ConvexClient(DEPLOYMENT_URL, { unsavedChangesWarning: false });
  try {
    // The deployment decides whether the token is still valid, since the clock of this device may be wrong.
    const renewed = stored !== null ? await renewToken(client, stored) : null;
    return renewed ?? (await client.action(api.visitors.signIn, {})).token;
  } finally {
    await client.close();
  }
}

/** Returns a new token for the same visitor, or `null` if the deployment does not accept the stored one. */
function renewToken(client: ConvexClient, stored: string): Promise<string | null> {
  return new Promise((resolve, reject) => {
    client.setAuth(
      () => Promise.resolve(stored),
      (isAccepted) => {
        if (!isAccepted) return resolve(null);
        client.action(api.visitors.renew, {}).then((renewed) => resolve(renewed?.token ?? null), reject);
      },
    );
  });
}

/** The last failure to sign in, and how to try again. */
export type SignIn = { error: Error | undefined; retry: () => void };

/** The session of this visitor for `ConvexProviderWithAuth`. */
export function useVisitor() {
  const [error, setError] = useState<Error>();
  const [attempt, setAttempt] = useState(0);
  // Convex asks for a token again when this function changes.
  const fetchAccessToken = useCallback(
    async ({ forceRefreshToken }: { forceRefreshToken: boolean }) => {
      void attempt;
      try {
        const token = await fetchToken(forceRefreshToken);
        setError(undefined);
        return token;
      } catch (cause) {
        setError(cause instanceof Error ? cause : new Error(String(cause)));
        return null;
      }
    },
    [attempt],
  );
  const auth = useMemo(() => ({ isLoading: false, isAuthenticated: true, fetchAccessToken }), [fetchAccessToken]);
  const signIn: SignIn = useMemo(() => ({ error, retry: () => setAttempt((count) => count + 1) }), [error]);
  return { auth, signIn };
}
