import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { get, RequestProblem } from "./client";

/** Wait before another attempt after a failed one, in milliseconds. */
const RETRY_MS = 3_000;

/** Data of a path, as far as it is loaded. */
export interface Resource<T> {
  data: T | undefined;
  /** Why the last attempt failed. Earlier data stay. */
  problem: RequestProblem | undefined;
  /** Loads again, and keeps the present data meanwhile. */
  reload: () => void;
}

/** Loads a path, again when it changes, and again after a failure that can pass. */
export function useResource<T>(path: string): Resource<T> {
  const [loaded, setLoaded] = useState<{ path: string; data: T }>();
  const [failed, setFailed] = useState<{ path: string; problem: RequestProblem }>();
  const [attempt, setAttempt] = useState(0);
  const reload = useCallback(() => setAttempt((count) => count + 1), []);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);

  useEffect(() => {
    const controller = new AbortController();
    const load = async () => {
      try {
        const data = await get<T>(path, controller.signal);
        if (controller.signal.aborted) return;
        setLoaded({ path, data });
        setFailed(undefined);
      } catch (error) {
        if (controller.signal.aborted) return;
        if (!(error instanceof RequestProblem)) throw error;
        setFailed({ path, problem: error });
        if (error.status === 0 || error.status >= 500) timer.current = setTimeout(reload, RETRY_MS);
      }
    };
    void load();
    return () => {
      controller.abort();
      clearTimeout(timer.current);
    };
  }, [path, attempt, reload]);

  return {
    data: loaded?.path === path ? loaded.data : undefined,
    problem: failed?.path === path ? failed.problem : undefined,
    reload,
  };
}
