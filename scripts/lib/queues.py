"""A discrete-event simulation of submissions that pass through stations with limited servers, in order of arrival."""

from __future__ import annotations

import heapq
import random
from collections import deque
from dataclasses import dataclass
from typing import Sequence


@dataclass(frozen=True)
class Step:
    """Work at a station that takes `seconds`: exactly, or on average with an exponential distribution."""
    station: str
    seconds: float
    varies: bool = True


@dataclass(frozen=True)
class Run:
    """What a simulation observed, without the first tenth of the submissions."""
    per_s: float
    latencies: list[float]
    busy: dict[str, float]

    def percentile(self, percent: float) -> float:
        """A latency in seconds."""
        return self.latencies[min(len(self.latencies) - 1, int(len(self.latencies) * percent / 100))]


def simulate(stations: dict[str, int | None], route: Sequence[Step], count: int, *, per_s: float = 0.0,
             population: int = 0, seed: int = 1) -> Run:
    """Let `count` submissions take the route.

    `stations` has the servers of each station; None if nothing waits there. Submissions arrive at random, `per_s` on
    average, whatever happens to the others (an open loop); or `population` of them are on the way at any time, each
    followed by the next one (a closed loop).
    """
    generator = random.Random(seed)
    free = dict(stations)
    waiting: dict[str, deque[tuple[int, int]]] = {name: deque() for name in stations}
    work = dict.fromkeys(stations, 0.0)
    events: list[tuple[float, int, int, int]] = []
    started: dict[int, float] = {}
    finished: list[tuple[float, float]] = []
    order, now = 0, 0.0

    def arrive(at: float, job: int) -> None:
        nonlocal order
        order += 1
        heapq.heappush(events, (at, order, job, -1))

    def serve(job: int, index: int) -> None:
        nonlocal order
        step = route[index]
        seconds = generator.expovariate(1 / step.seconds) if step.varies and step.seconds else step.seconds
        work[step.station] += seconds
        order += 1
        heapq.heappush(events, (now + seconds, order, job, index))

    def enter(job: int, index: int) -> None:
        if index == len(route):
            finished.append((now, now - started.pop(job)))
            if population and job + population < count:
                arrive(now, job + population)
            return
        name = route[index].station
        servers = free[name]
        if servers == 0:
            waiting[name].append((job, index))
            return
        if servers is not None:
            free[name] = servers - 1
        serve(job, index)

    if population:
        for job in range(min(population, count)):
            arrive(0.0, job)
    else:
        at = 0.0
        for job in range(count):
            at += generator.expovariate(per_s)
            arrive(at, job)
    while events:
        now, _, job, index = heapq.heappop(events)
        if index < 0:
            started[job] = now
            enter(job, 0)
            continue
        name = route[index].station
        if waiting[name]:
            serve(*waiting[name].popleft())
        else:
            servers = free[name]
            free[name] = None if servers is None else servers + 1
        enter(job, index + 1)
    kept = finished[len(finished) // 10:]
    seconds = kept[-1][0] - kept[0][0]
    busy = {name: work[name] / (servers * now) for name, servers in stations.items() if servers}
    return Run((len(kept) - 1) / seconds, sorted(latency for _, latency in kept), busy)
