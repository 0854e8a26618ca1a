import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Batch, Minute, NatsState, Overview } from "./types";

/** Wait before a new connection after the browser has given up, in milliseconds. */
const RECONNECT_MS = 2_000;

export type Connection = "connecting" | "live" | "lost";

/** What a page does with the events of `/api/live`. */
export interface LiveHandlers {
  overview?: (overview: Overview) => void;
  minute?: (minutes: Minute[]) => void;
  submissions?: (batch: Batch) => void;
  /** Called when a connection is open, and if events are missing: load the data again. */
  reload?: () => void;
}

export interface Live {
  connection: Connection;
  /** The connection of the console to NATS. */
  nats: NatsState | undefined;
}

/**
 * Follows `/api/live` with a query such as `?overview=true`. After a lost connection the browser connects again and sends the id
 * of the last event; the console then sends what has changed since.
 */
export function useLive(query: string, handlers: LiveHandlers): Live {
  const [connection, setConnection] = useState<Connection>("connecting");
  const [nats, setNats] = useState<NatsState>();
  const latest = useRef(handlers);
  useEffect(() => {
    latest.current = handlers;
  });

  useEffect(() => {
    let source: EventSource;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const connect = () => {
      source = new EventSource(`/api/live${query}`);
      source.onopen = () => {
        setConnection("live");
        // Before the first batch there is no last event id, so the console sends what changes from now on.
        latest.current.reload?.();
      };
      source.onerror = () => {
        setConnection("lost");
        if (source.readyState === EventSource.CLOSED) timer = setTimeout(connect, RECONNECT_MS);
      };
      const on = <T>(name: string, handle: (data: T) => void) =>
        source.addEventListener(name, (event: MessageEvent<string>) => handle(JSON.parse(event.data) as T));
      on<Overview>("overview", (overview) => latest.current.overview?.(overview));
      on<Minute[]>("minute", (minutes) => latest.current.minute?.(minutes));
      on<Batch>("submissions", (batch) => {
        if (batch.reload) latest.current.reload?.();
        latest.current.submissions?.(batch);
      });
      on<NatsState>("nats", setNats);
    };
    connect();
    return () => {
      clearTimeout(timer);
      source.close();
    };
  }, [query]);

  return useMemo(() => ({ connection, nats }), [connection, nats]);
}
