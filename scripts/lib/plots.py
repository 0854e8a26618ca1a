"""What the plots in docs/plots show: a plot for each bench, with panels of bars."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Callable

from lib.measurements import Language, Measurements, Metric
from lib.project import Problem
from lib.svg import Bar, Panel, document

LIMIT = "limit"


@dataclass(frozen=True)
class Part:
    """The panel of the metrics whose names match the pattern. Its group, if there is one, goes into the label."""
    title: str
    pattern: str
    label: str
    bar: Callable[[str, Metric], Bar]
    mark: str = LIMIT
    # The label of a first bar with the baseline, if it is to be shown.
    baseline: str = ""


def ratio(label: str, metric: Metric) -> Bar:
    """The ratio to the baseline, with the limit of the ratio."""
    if metric.ratio is None or metric.baseline is None:
        raise Problem(f"{metric.name} of {metric.bench} has no ratio: run scripts/bench {metric.bench} --json again")
    note = note_of(f"{metric.ratio:.2f}", metric.sign, metric.limit, metric.is_met)
    note += versus(metric.value, metric.baseline, unit(metric))
    return Bar(label, metric.ratio, note, metric.limit, metric.is_met)


def value(label: str, metric: Metric) -> Bar:
    """The value, with its limit. A limit of the ratio becomes one of the value."""
    limit = metric.limit
    if limit is not None and metric.baseline is not None:
        limit *= metric.baseline
    note = note_of(number(metric.value), metric.sign, limit, metric.is_met)
    return Bar(label, metric.value, note, limit, metric.is_met)


def value_and_baseline(label: str, metric: Metric) -> Bar:
    """The value, with the baseline as its mark."""
    beside = "" if metric.baseline is None else f" of {number(metric.baseline)}"
    return Bar(label, metric.value, number(metric.value) + beside, metric.baseline)


PLOTS: dict[str, tuple[str, list[Part]]] = {
    "accept": ("From POST to 202, compared with bare publishes", [
        Part("Submissions per second, as a ratio to bare publishes: at least the limit", r"per_s_at_(\d+)",
             "{} connections", ratio),
        Part("Median latency, as a ratio to bare publishes: at most the limit", r"p50_ms_at_(\d+)",
             "{} connections", ratio),
        Part("99th percentile, as a ratio to bare publishes: at most the limit", r"p99_ms_at_(\d+)",
             "{} connections", ratio),
    ]),
    "line": ("From POST to the result callback, with an engine that answers at once", [
        Part("Latency in ms at half of saturation: at most the limit", r"(p\d+)_ms", "{}", value),
        Part("Submissions per second: at least the limit", r"(accepted|saturation)_per_s", "{}", value),
    ]),
    "scale": ("Throughput by the number of judges, with an engine that waits 100 ms", [
        Part("Submissions per second", r"per_s_with_(\d+)", "{} judges", value_and_baseline, "linear growth"),
        Part("As a ratio to linear growth: at least the limit", r"per_s_with_(\d+)", "{} judges", ratio),
        Part("The slowest judge, as a ratio to the mean: at least the limit", r"slowest_per_s_of_(\d+)",
             "{} judges", ratio),
    ]),
    "backlog": ("Throughput by the number of queued submissions", [
        Part("Submissions accepted per second: at least the limit", r"accepted_per_s_at_(\d+)", "{} queued", value,
             baseline="empty queue"),
        Part("Verdicts per second: at least the limit", r"drained_per_s_at_(\d+)", "{} queued", value,
             baseline="empty queue"),
        Part("Memory in MB, as a ratio to an empty queue: at most the limit", r"(.+_mb_at_\d+)", "{}", ratio),
    ]),
    "memory": ("What each process uses", [
        Part("Memory in MB when idle: at most the limit", r"(.+)_idle_mb", "{}", value),
        Part("Most memory in MB at full load: at most the limit", r"(.+)_peak_mb", "{}", value),
        Part("CPU time of a submission in µs", r"(.+)_cpu_us", "{}", value),
    ]),
}


def plots(measurements: Measurements) -> dict[str, str]:
    """The SVG of each bench that was measured, by the name of its file."""
    found = {}
    if measurements.languages:
        found["languages"] = languages(list(measurements.languages.values()))
    for bench, (title, parts) in PLOTS.items():
        metrics = [metric for metric in measurements.metrics.values() if metric.bench == bench]
        if metrics:
            found[bench] = document(title, [panel(part, metrics) for part in parts])
    if not found:
        raise Problem(f"the measurements have no result of {', '.join(['languages', *PLOTS])}")
    return {f"{name}.svg": text for name, text in found.items()}


def panel(part: Part, metrics: list[Metric]) -> Panel:
    """The bars of a part; a Problem if it has none."""
    matches = [(match, metric) for metric in metrics if (match := re.fullmatch(part.pattern, metric.name))]
    if not matches:
        bench = metrics[0].bench
        raise Problem(f"the measurements of {bench} lack {part.pattern}: run scripts/bench {bench} --json")
    bars = [part.bar(label(part, match[1]), metric) for match, metric in matches]
    baseline = matches[0][1].baseline
    if part.baseline and baseline is not None:
        bars.insert(0, Bar(part.baseline, baseline, number(baseline)))
    return Panel(part.title, bars, part.mark, line=1.0 if part.bar is ratio else None)


def label(part: Part, text: str) -> str:
    """The label of a bar: numbers with commas, one judge without the s."""
    process = re.fullmatch(r"(.+)_mb_at_(\d+)", text)
    if process:
        return f"{process[1]}, {int(process[2]):,}"
    full = part.label.format(f"{int(text):,}" if text.isdecimal() else text)
    return full[:-1] if text == "1" and full.endswith("s") else full


def languages(measured: list[Language]) -> str:
    """Cold and warm times as ratios to those without Gavel."""
    cold = [time(each.name, each.cold_ratio, each.cold_ms, each.compile_ms + each.runs_ms, each.cold_bar)
            for each in measured]
    warm = [time(each.name, each.warm_ratio, each.warm_ms, each.runs_ms, each.warm_bar) for each in measured]
    return document("From POST to the verdict of ten tests, compared with plain processes", [
        Panel("New source, as a ratio to the plain compiler and ten plain runs: at most the limit", cold, LIMIT, 1.0),
        Panel("Source that is compiled already, as a ratio to ten plain runs: at most the limit", warm, LIMIT, 1.0)])


def time(name: str, share: float, ms: float, plain_ms: float, limit: float | None) -> Bar:
    """A time of a language as a ratio to the plain one."""
    is_met = None if limit is None else share <= limit
    note = note_of(f"{share:.2f}", "≤", limit, is_met) + versus(ms, plain_ms, " ms")
    return Bar(name, share, note, limit, is_met)


def unit(metric: Metric) -> str:
    """The unit in a metric's name, to follow its value."""
    return " ms" if "_ms" in metric.name else " MB" if "_mb" in metric.name else ""


def note_of(text: str, sign: str, limit: float | None, is_met: bool | None) -> str:
    """A measurement and its limit, if there is one."""
    if limit is None:
        return text
    return f"{text}{'' if is_met else ', not'} {sign} {number(limit) if limit >= 100 else f'{limit:g}'}"


def versus(measured: float, baseline: float, units: str) -> str:
    """What a ratio compares."""
    return f" ({number(measured)} vs. {number(baseline)}{units})"


def number(measured: float) -> str:
    """A number with three significant digits, and commas from a thousand."""
    if measured >= 100:
        return f"{measured:,.0f}"
    return f"{measured:.1f}" if measured >= 10 else f"{measured:.2f}"
