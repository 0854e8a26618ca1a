import { createContext, type ComponentChildren } from "preact";
import { useCallback, useContext, useEffect, useRef, useState } from "preact/hooks";
import { getWithKey, RequestProblem } from "./api/client";
import { currentKey, keepKey } from "./api/key";
import type { Session } from "./api/types";
import { Button } from "./ui/button";
import { Dialog } from "./ui/dialog";
import { ProblemNote } from "./ui/notes";

/** Wait before another attempt to load the session, in milliseconds. */
const RETRY_MS = 3_000;

interface SessionState {
  /** `undefined` until it is loaded. */
  session: Session | undefined;
  /** Whether changes and sources are possible now. */
  canChange: boolean;
  /** Opens the dialog for the key. */
  askForKey: () => void;
  forgetKey: () => void;
}

const Context = createContext<SessionState>({
  session: undefined,
  canChange: false,
  askForKey: () => undefined,
  forgetKey: () => undefined,
});

/** What this tab may do. */
export function useSession(): SessionState {
  return useContext(Context);
}

/** Loads the session, and asks for the key when a page wants it. */
export function SessionProvider({ children }: { children: ComponentChildren }) {
  const [session, setSession] = useState<Session>();
  const [isAsking, setIsAsking] = useState(false);

  const load = useCallback(async () => {
    const loaded = await getWithKey<Session>("/api/session");
    if (!loaded.keyValid) keepKey(undefined);
    setSession(loaded);
  }, []);
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout>;
    const attempt = () => void load().catch(() => (timer = setTimeout(attempt, RETRY_MS)));
    attempt();
    return () => clearTimeout(timer);
  }, [load]);

  const askForKey = useCallback(() => setIsAsking(true), []);
  const forgetKey = useCallback(() => {
    keepKey(undefined);
    setSession((known) => known && { ...known, keyValid: false });
  }, []);
  const state = { session, canChange: session?.keyValid === true && currentKey() !== undefined, askForKey, forgetKey };
  return (
    <Context.Provider value={state}>
      {children}
      {isAsking && <KeyDialog onClose={() => setIsAsking(false)} onValid={setSession} />}
    </Context.Provider>
  );
}

function KeyDialog({ onClose, onValid }: { onClose: () => void; onValid: (session: Session) => void }) {
  const [problem, setProblem] = useState<RequestProblem>();
  const [isBusy, setIsBusy] = useState(false);
  const input = useRef<HTMLInputElement>(null);
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const key = input.current?.value ?? "";
    setIsBusy(true);
    try {
      const session = await getWithKey<Session>("/api/session", key);
      if (!session.keyValid) throw new RequestProblem("This is not the key of the console.", 401);
      keepKey(key);
      onValid(session);
      onClose();
    } catch (error) {
      setProblem(error instanceof RequestProblem ? error : new RequestProblem("The key has an invalid character.", 0));
    } finally {
      setIsBusy(false);
    }
  };
  return (
    <Dialog title="Enter the key" onClose={onClose}>
      <form class="form" onSubmit={(event) => void submit(event)}>
        <p>With the key this tab can retry, drop and rejudge, and show sources. It is kept until the tab is closed.</p>
        <label>
          Key
          <input ref={input} name="key" type="password" required autocomplete="off" spellcheck={false} />
        </label>
        {problem && <ProblemNote problem={problem} />}
        <div class="buttons">
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" look="primary" disabled={isBusy}>
            Use the key
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

/** What a page shows in place of its actions if they are not possible. */
export function NeedsKey({ to }: { to: string }) {
  const { session, canChange, askForKey } = useSession();
  if (session === undefined || canChange) return null;
  if (!session.writable) {
    return (
      <p class="note quiet">
        This console is read-only. To {to}, start it with <code>CONSOLE_KEY</code>.
      </p>
    );
  }
  return (
    <p class="note quiet with-button">
      <span>To {to}, enter the key of the console.</span>
      <Button onClick={askForKey}>Enter the key</Button>
    </p>
  );
}
