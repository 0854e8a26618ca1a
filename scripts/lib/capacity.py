"""A model of the pipeline: what `scripts/bench` measured, what follows from it, and what a large installation needs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from statistics import linear_regression

from lib.measurements import Measurements
from lib.project import Problem
from lib.queues import Step, simulate

# The machine of the measurements.
CORES = 2
# The messages of a submission in its busiest stream, SUB_RESULT, if reporters keep the order: running, judged, claimed,
# answered, reported.
STORED = 5
# Stored messages a second of one stream with three replicas, 64 publishes in flight.
REPLICATED_PER_S = 22_000
# Calls to Convex for a submission: test cases, running, result.
CALLS = 3
# How busy anything may be: the rest is for peaks and for the loss of one machine of three.
UTILISATION = 0.65
# Servers of a cluster. Each stores each message, so each is taken to need the CPU time of the single one.
REPLICAS = 3
SERVICES = ("ingress", "fetcher", "judge", "reporter")
# How far a simulated point may be from the measured one.
TOLERANCE = 0.15


@dataclass(frozen=True)
class Point:
    """A result that was measured, and the same result of the simulation."""
    name: str
    measured: float
    simulated: float

    @property
    def deviation(self) -> float:
        return self.simulated / self.measured - 1


class Measured:
    """The results of `scripts/bench all --json`."""

    def __init__(self, path: Path) -> None:
        self.measurements = Measurements([path])

    def get(self, bench: str, metric: str) -> float:
        """A result; a Problem unless it is a positive number, which all times and rates are."""
        value = self.measurements.get(bench, metric).value
        if not 0 < value < math.inf:
            raise Problem(f"{metric} of {bench} is {value}: run scripts/bench {bench} --json again")
        return value

    def cpu_seconds(self, process: str) -> float:
        """CPU time of a process per submission."""
        return self.get("memory", f"{process}_cpu_us") / 1e6

    def judges(self) -> list[int]:
        """The numbers of judges that were measured, except one."""
        prefix = "per_s_with_"
        counts = [int(metric.removeprefix(prefix)) for bench, metric in self.measurements.metrics
                  if bench == "scale" and metric.startswith(prefix)]
        return sorted(count for count in counts if count > 1)


def line_cpu(measured: Measured) -> float:
    """CPU time of all processes together per submission, the load and mock Convex included."""
    processes = ("ingress", "fetcher", "instant-judge", "reporter", "nats-server", "load")
    return sum(measured.cpu_seconds(process) for process in processes)


def accepted_per_s(measured: dict[int, float]) -> dict[int, float]:
    """Requests per second that the ingress accepts, by the number of connections with one request at a time each.

    A process that wakes up handles everything that has arrived, and sends it on with one write. So the requests of all
    connections share the wake-ups of a round: a request takes some time alone, and a part of the wake-ups. Linear
    regression gives these two times.
    """
    wake_ups, request = linear_regression([1 / connections for connections in measured],
                                          [1 / per_s for per_s in measured.values()])
    return {connections: 1 / (request + wake_ups / connections) for connections in measured}


def points(measured: Measured, count: int = 20_000) -> list[Point]:
    """Simulate what was measured.

    The simulation knows the CPU time of a submission and the latency of a single judge; the two times of a request are fitted
    to four rates. Everything else is a prediction.
    """
    stations: dict[str, int | None] = {"cpu": CORES, "wait": None}
    rates = {connections: measured.get("accept", f"per_s_at_{connections}") for connections in (1, 16, 64, 128)}
    found = [Point(f"accept per_s_at_{connections}", rates[connections], per_s)
             for connections, per_s in accepted_per_s(rates).items()]
    cpu = line_cpu(measured)
    run = simulate(stations, [Step("cpu", cpu / 4)] * 4, count, population=64)
    found.append(Point("line saturation_per_s", measured.get("line", "saturation_per_s"), run.per_s))
    alone = 1 / measured.get("scale", "per_s_with_1")
    for judges in measured.judges():
        route = [Step("wait", max(0.0, alone - cpu), varies=False), Step("cpu", cpu)]
        run = simulate(stations, route, judges * 200, population=judges)
        found.append(Point(f"scale per_s_with_{judges}", measured.get("scale", f"per_s_with_{judges}"), run.per_s))
    return found


@dataclass(frozen=True)
class Plan:
    """What an installation needs for a load."""
    per_minute: int
    cores: dict[str, int]
    # Of all servers of NATS.
    nats_cores: int
    # A slot needs a core.
    slots: int
    partitions: int
    convex_calls: int
    p99_seconds: float
    busy: dict[str, float]

    @property
    def all_cores(self) -> int:
        return sum(self.cores.values()) + self.nats_cores + self.slots


def plan(measured: Measured, per_minute: int, run_seconds: float, convex_seconds: float, count: int = 50_000) -> Plan:
    """What `per_minute` submissions need whose programs take `run_seconds` in a slot, with a Convex that answers within
    `convex_seconds`; and the time that a submission then takes, by simulation."""
    per_s = per_minute / 60
    needed = lambda seconds: max(1, math.ceil(per_s * seconds / UTILISATION))  # noqa: E731
    cpu = {service: measured.cpu_seconds("instant-judge" if service == "judge" else service) for service in SERVICES}
    cores = {service: needed(seconds) for service, seconds in cpu.items()}
    nats_cores = REPLICAS * needed(measured.cpu_seconds("nats-server"))
    slots, partitions = needed(run_seconds), needed(STORED / REPLICATED_PER_S)
    stations: dict[str, int | None] = {**cores, "slots": slots, "streams": partitions, "convex": None}
    store = Step("streams", 1 / REPLICATED_PER_S)
    convex = Step("convex", convex_seconds)
    route = [Step("ingress", cpu["ingress"]), Step("fetcher", cpu["fetcher"]), convex, Step("judge", cpu["judge"]), store,
             Step("slots", run_seconds), store, Step("reporter", cpu["reporter"]), store, convex, store, store]
    run = simulate(stations, route, count, per_s=per_s)
    return Plan(per_minute, cores, nats_cores, slots, partitions, needed(CALLS * convex_seconds), run.percentile(99),
                run.busy)
