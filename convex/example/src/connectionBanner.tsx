import { useConvexConnectionState } from "convex/react";
import { useDelayed } from "./useDelayed";

/** Milliseconds that a connection may be lost before the page shows it. */
const DELAY = 800;

/** Says that the connection is lost, until it is back. */
export function ConnectionBanner() {
  const { isWebSocketConnected, hasEverConnected } = useConvexConnectionState();
  const isLost = useDelayed(hasEverConnected && !isWebSocketConnected, DELAY);
  return (
    <div role="status" className="connection">
      {isLost && <p>Reconnecting… What you write is kept. Results appear when the connection is back.</p>}
    </div>
  );
}
