import type { Instance, Minute, Overview, Peer, Stage } from "../api/types";

/** A service of the pipeline with the queue in front of it. */
export interface Station {
  service: "ingress" | "fetcher" | "judge" | "reporter";
  does: string;
  instances: Instance[];
  /** Its consumers, added up. The ingress has none: its input comes by HTTP. */
  queue: Queue | undefined;
  /** Per second. */
  rate: number;
  peers: Health[];
}

export interface Queue {
  /** What waits in it. */
  holds: string;
  waiting: number;
  inProgress: number;
  /** The age of the oldest that waits or is in progress. */
  oldestMs: number | undefined;
  redelivered: number;
}

/** Convex or Judge0, as all instances of a service see it. */
export interface Health {
  name: string;
  problem: string | undefined;
  seenBy: string[];
}

const SERVICES = [
  { service: "ingress", does: "accepts submissions", holds: "" },
  { service: "fetcher", does: "fetches test cases", holds: "queued" },
  { service: "judge", does: "runs programs", holds: "ready" },
  { service: "reporter", does: "calls Convex back", holds: "callbacks" },
] as const;

/** The pipeline in the order in which a submission passes through it. */
export function stations({ stages, instances, peers }: Overview, minutes: Minute[]): Station[] {
  return SERVICES.map(({ service, does, holds }) => {
    const own = instances.filter((instance) => instance.service === service);
    const consumers = stages.filter(({ stage }) => stage.split("-")[0] === service);
    return {
      service,
      does,
      instances: own,
      queue: service === "ingress" ? undefined : queueOf(consumers, holds),
      rate: service === "ingress" ? acceptedPerSecond(minutes) : sum(consumers, ({ perSecond }) => perSecond),
      peers: healthOf(peers, new Set(own.map(({ instance }) => instance))),
    };
  });
}

function queueOf(consumers: Stage[], holds: string): Queue {
  const ages = consumers.flatMap(({ oldestMs }) => (oldestMs === undefined ? [] : [oldestMs]));
  return {
    holds,
    waiting: sum(consumers, ({ waiting }) => waiting),
    inProgress: sum(consumers, ({ inHand }) => inHand),
    oldestMs: ages.length === 0 ? undefined : Math.max(...ages),
    redelivered: sum(consumers, ({ redelivered }) => redelivered),
  };
}

/** The rate of the last complete minute: submissions reach the ingress by HTTP, so no consumer counts them. */
function acceptedPerSecond(minutes: Minute[]): number {
  return (minutes.at(-2)?.queued ?? 0) / 60;
}

function healthOf(peers: Peer[], instances: Set<string>): Health[] {
  const byName = new Map<string, Health>();
  for (const { name, seenBy, problem } of peers) {
    if (!instances.has(seenBy)) continue;
    const health = byName.get(name) ?? { name, problem: undefined, seenBy: [] };
    health.problem ??= problem;
    health.seenBy.push(seenBy);
    byName.set(name, health);
  }
  return [...byName.values()];
}

function sum<T>(items: T[], value: (item: T) => number): number {
  return items.reduce((total, item) => total + value(item), 0);
}
