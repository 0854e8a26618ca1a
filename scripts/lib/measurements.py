"""The JSON lines that `scripts/bench` prints with --json."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterable

from lib.project import Problem

LANGUAGES = "languages"


@dataclass(frozen=True)
class Metric:
    """A result of a bench of the pipeline, in the unit that its name ends with."""
    bench: str
    name: str
    value: float
    # What it is compared with, in the same unit.
    baseline: float | None
    ratio: float | None
    # "≥ 0.5" or "≤ 6": on the ratio if there is a baseline, otherwise on the value.
    bar: str | None
    is_met: bool | None

    @property
    def limit(self) -> float | None:
        """The number of the bar."""
        return None if self.bar is None else float(self.bar.split()[-1])

    @property
    def sign(self) -> str:
        """The direction of the bar; empty without a bar."""
        return "" if self.bar is None else self.bar.split()[0]


@dataclass(frozen=True)
class Language:
    """The times of a language in milliseconds; compiler and runs are those without Gavel."""
    name: str
    cold_ms: float
    warm_ms: float
    compile_ms: float
    runs_ms: float
    cold_ratio: float
    warm_ratio: float
    cold_bar: float | None
    warm_bar: float | None


class Measurements:
    """What the benches printed. If a result occurs several times, the last one counts."""

    def __init__(self, paths: Iterable[Path]) -> None:
        self.metrics: dict[tuple[str, str], Metric] = {}
        self.languages: dict[str, Language] = {}
        for path in paths:
            lines = json_lines(path)
            if not lines:
                raise Problem(f"{path} has no JSON lines: write it with scripts/bench all --json > {path}")
            for number, line in lines:
                try:
                    self.add(line)
                except (KeyError, TypeError, ValueError, IndexError) as error:
                    raise Problem(f"{path}:{number} is no result of scripts/bench --json: {reason(error)}") from None

    def add(self, line: dict[str, Any]) -> None:
        if line["bench"] == LANGUAGES:
            name = str(line["language"])
            keys = ("cold_ms", "warm_ms", "compile_ms", "runs_ms", "cold_ratio", "warm_ratio")
            times = [float(line[key]) for key in keys]
            self.languages[name] = Language(name, *times, optional(line["cold_bar"]), optional(line["warm_bar"]))
            return
        metric = Metric(str(line["bench"]), str(line["metric"]), float(line["value"]), optional(line.get("baseline")),
                        optional(line.get("ratio")), line.get("bar"), line.get("met"))
        _ = metric.limit  # fails if the bar has no number
        self.metrics[metric.bench, metric.name] = metric

    def get(self, bench: str, name: str) -> Metric:
        """The result of a bench; a Problem if it was not measured."""
        try:
            return self.metrics[bench, name]
        except KeyError:
            raise Problem(f"the measurements lack {name} of {bench}: run scripts/bench {bench} --json") from None


def json_lines(path: Path) -> list[tuple[int, dict[str, Any]]]:
    """The JSON objects of a file with their line numbers. What else the file has is skipped: cargo may print to it."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Problem(f"cannot read {path}: {error}") from error
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("{"):
            try:
                found.append((number, json.loads(line)))
            except json.JSONDecodeError as error:
                raise Problem(f"{path}:{number} is no JSON: {error}") from None
    return found


def optional(value: Any) -> float | None:
    return None if value is None else float(value)


def reason(error: Exception) -> str:
    """What is wrong with a line."""
    return f"the field {error} is missing" if isinstance(error, KeyError) else str(error)
