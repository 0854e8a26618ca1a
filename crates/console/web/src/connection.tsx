import { useEffect, useState } from "preact/hooks";
import type { Live } from "./api/live";
import { ProblemNote } from "./ui/notes";

// The page in view publishes its connection; the bar at the top shows it.
let shown: Live | undefined;
const listeners = new Set<() => void>();

function publish(live: Live | undefined): void {
  shown = live;
  listeners.forEach((listener) => listener());
}

/** Shows the connection of a page in the bar at the top, and above the page what is wrong with it. */
export function ConnectionNote({ live, hasNatsNote = true }: { live: Live; hasNatsNote?: boolean }) {
  useEffect(() => {
    publish(live);
    return () => publish(undefined);
  }, [live]);
  if (live.connection === "lost") {
    return (
      <ProblemNote
        problem={{
          message: "The connection to the console is lost. The page shows the last known state",
          remedy: "It connects again by itself. If it does not, check that gavel console still runs",
        }}
      />
    );
  }
  if (live.nats?.connected === false && hasNatsNote) {
    return (
      <ProblemNote
        problem={{
          message: live.nats.problem ?? "The console is not connected to NATS",
          ...(live.nats.remedy === undefined ? {} : { remedy: live.nats.remedy }),
        }}
      />
    );
  }
  return null;
}

/** Whether the page in view is live. */
export function ConnectionState() {
  const [live, setLive] = useState(shown);
  useEffect(() => {
    const listener = () => setLive(shown);
    listener();
    listeners.add(listener);
    return () => void listeners.delete(listener);
  }, []);
  if (live === undefined || live.connection === "connecting") return null;
  const isLive = live.connection === "live" && live.nats?.connected !== false;
  return <span class={`connection ${isLive ? "live" : "lost"}`}>{isLive ? "Live" : "Not live"}</span>;
}
