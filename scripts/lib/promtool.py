"""promtool, from Debian's package prometheus: only the program, since installing the package starts a server."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Mapping

from lib import debian
from lib.project import TOOLS, Problem, first_line_of

PROGRAM = TOOLS / "bin" / "promtool"
SUITE = "bookworm"


def ensure() -> None:
    """Unpack the program unless it is installed."""
    if first_line_of([str(PROGRAM), "--version"]):
        return
    PROGRAM.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="promtool-", dir=TOOLS) as folder:
        debian.unpack(SUITE, ["prometheus"], Path(folder), [])
        unpacked = Path(folder) / "usr" / "bin" / PROGRAM.name
        if not first_line_of([str(unpacked), "--version"]):
            raise Problem(f"promtool of Debian {SUITE} does not run on this machine")
        os.replace(unpacked, PROGRAM)


def problems(groups: list[dict[str, Any]]) -> list[str]:
    """What `promtool check rules` finds in groups of rules."""
    return run("check", {"groups": groups}, {})


def wrong_values(groups: list[dict[str, Any]], series: Mapping[str, float], expected: Mapping[str, float]) -> list[str]:
    """Which queries have other values than expected, if Prometheus has these series and evaluates these rules.

    The queries must have a value without labels.
    """
    tests = [{
        "interval": "15s",
        "input_series": [{"series": name, "values": f"{value}x8"} for name, value in series.items()],
        "promql_expr_test": [{"expr": f"sum({query})", "eval_time": "1m", "exp_samples": [{"labels": "{}", "value": value}]}
                             for query, value in expected.items()],
    }]
    return run("test", {"groups": groups}, {"rule_files": ["rules.yml"], "evaluation_interval": "15s", "tests": tests})


def run(command: str, rules: dict[str, Any], tests: dict[str, Any]) -> list[str]:
    """What promtool prints if it fails."""
    import yaml

    with tempfile.TemporaryDirectory(prefix="gavel-promtool-") as folder:
        for name, content in (("rules.yml", rules), ("tests.yml", tests)):
            (Path(folder) / name).write_text(yaml.safe_dump(content), encoding="utf-8")
        file = "rules.yml" if command == "check" else "tests.yml"
        done = subprocess.run([str(PROGRAM), command, "rules", file], cwd=folder, stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, check=False)
    return [] if done.returncode == 0 else [done.stdout + done.stderr]
