"""The plots of what the benches measured, with invented measurements."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lib.measurements import Measurements  # noqa: E402  (the scripts are no installed package)
from lib.plots import PLOTS, number, plots  # noqa: E402
from lib.project import ROOT  # noqa: E402
from lib.svg import LEFT, RIGHT  # noqa: E402

SVG = "{http://www.w3.org/2000/svg}"


def metric(bench: str, name: str, value: float, baseline: float | None = None, bar: str | None = None,
           met: bool | None = None) -> dict[str, Any]:
    """A line of scripts/bench, with the fields that crates/cli/benches/pipeline/report.rs prints."""
    return {"bench": bench, "metric": name, "value": value, "baseline": baseline,
            "ratio": None if baseline is None else value / baseline, "bar": bar, "met": met, "rounds": 3}


def language(name: str, cold_ms: float, cold_bar: float | None) -> dict[str, Any]:
    """A line of scripts/bench languages, for a compiler that takes 400 ms and ten runs that take 100 ms."""
    return {"bench": "languages", "language": name, "cold_ms": cold_ms, "warm_ms": 50.0, "compile_ms": 400.0,
            "runs_ms": 100.0, "cold_ratio": cold_ms / 500, "cold_bar": cold_bar, "warm_ratio": 0.5, "warm_bar": None}


ALL = [
    language("cpp", 250.0, 0.4), language("go", 500.0, None),
    metric("accept", "per_s_at_1", 4_000, 8_000), metric("accept", "per_s_at_64", 20_000, 50_000, "≥ 0.5", False),
    metric("accept", "p50_ms_at_1", 0.2, 0.1, "≤ 1.3", False), metric("accept", "p99_ms_at_64", 4, 4, "≤ 1.3", True),
    metric("accept", "write_once_per_s_at_1", 7_000, 8_000),
    metric("line", "saturation_per_s", 2_000, None, "≥ 3000", False), metric("line", "p50_ms", 5, None, "≤ 6", True),
    metric("line", "p99_ms", 20, None, "≤ 15", False), metric("line", "accepted_per_s", 9_000, 50_000),
    metric("scale", "per_s_with_1", 9, 9, "≥ 0.95", True), metric("scale", "per_s_with_64", 540, 576),
    metric("scale", "slowest_per_s_of_1", 9, 9, "≥ 0.7", True),
    metric("scale", "slowest_per_s_of_64", 8, 9, "≥ 0.7", True),
    metric("backlog", "accepted_per_s_at_1000000", 19_000, 20_000, "≥ 0.85", True),
    metric("backlog", "drained_per_s_at_1000000", 1_900, 2_000, "≥ 0.85", True),
    metric("backlog", "judge_mb_at_1000000", 21, 20, "≤ 1.25", True),
    metric("memory", "judge_idle_mb", 14, None, "≤ 25", True),
    metric("memory", "judge_peak_mb", 30, None, "≤ 80", True),
    metric("memory", "judge_cpu_us", 120),
]


class Plots(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))

    def write(self, lines: list[dict[str, Any]], name: str = "measured.jsonl") -> Path:
        path = self.folder / name
        path.write_text("\n".join(json.dumps(line, ensure_ascii=False) for line in lines), encoding="utf-8")
        return path

    def plots(self, lines: list[dict[str, Any]]) -> dict[str, ElementTree.Element]:
        return {name: ElementTree.fromstring(text) for name, text in plots(Measurements([self.write(lines)])).items()}

    def test_each_bench_has_a_plot_with_title_and_description(self) -> None:
        found = self.plots(ALL)
        self.assertEqual(set(found), {"languages.svg", *(f"{name}.svg" for name in PLOTS)})
        for name, svg in found.items():
            with self.subTest(name):
                texts = {svg.findtext(f"{SVG}title"), svg.findtext(f"{SVG}desc")}
                self.assertTrue(all(texts))
                self.assertEqual(svg.get("aria-labelledby"), "title desc")

    def test_bar_ends_at_its_value_and_mark_is_at_its_limit(self) -> None:
        svg = self.plots([language("cpp", 250.0, 0.4)])["languages.svg"]
        scale = RIGHT - LEFT  # The line at 1.0 is the end of the scale.
        rows = [bar for bar in svg.iter(f"{SVG}rect") if bar.get("class") in ("bar", "missed")]
        self.assertEqual([(bar.get("class"), float(bar.get("width", ""))) for bar in rows],
                         [("missed", scale * 0.5), ("bar", scale * 0.5)])
        key, mark = [float(line.get("x1", "")) for line in svg.iter(f"{SVG}line") if line.get("class") == "mark"]
        self.assertGreater(key, RIGHT)
        self.assertAlmostEqual(mark, LEFT + scale * 0.4)
        texts = [text.text for text in svg.iter(f"{SVG}text")]
        self.assertIn("0.50, not ≤ 0.4 (250 vs. 500 ms)", texts)

    def test_scale_is_marked_with_linear_growth_and_with_the_limit(self) -> None:
        description = self.plots(ALL)["scale.svg"].findtext(f"{SVG}desc") or ""
        self.assertIn("64 judges: 540 of 576", description)
        self.assertIn("1 judge: 1.00 ≥ 0.95 (9.00 vs. 9.00)", description)

    def test_backlog_begins_with_the_empty_queue(self) -> None:
        description = self.plots(ALL)["backlog.svg"].findtext(f"{SVG}desc") or ""
        self.assertIn("empty queue: 2,000; 1,000,000 queued: 1,900 ≥ 1,700", description)
        self.assertIn("judge, 1,000,000: 1.05 ≤ 1.25 (21.0 vs. 20.0 MB)", description)

    def test_names_are_escaped(self) -> None:
        svg = self.plots([language("<c&c>", 250.0, None)])["languages.svg"]
        self.assertIn("<c&c>", [text.text for text in svg.iter(f"{SVG}text")])

    def test_numbers_have_three_digits(self) -> None:
        texts = {64_900.4: "64,900", 999.6: "1,000", 19.14: "19.1", 5.2: "5.20", 0.204: "0.20"}
        self.assertEqual({each: number(each) for each in texts}, texts)

    def run_script(self, *paths: Path) -> subprocess.CompletedProcess[str]:
        options = [*map(str, paths), "--folder", str(self.folder / "plots")]
        command = [sys.executable, str(ROOT / "scripts" / "plot"), *options]
        return subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60,
                              check=False)

    def test_script_writes_the_plots_of_several_files(self) -> None:
        files = [self.write([line for line in ALL if line["bench"] == bench], bench) for bench in ("line", "languages")]
        files[0].write_text("not JSON, from cargo\n" + files[0].read_text(encoding="utf-8"), encoding="utf-8")
        done = self.run_script(*files)
        self.assertEqual((done.returncode, done.stdout), (0, ""))
        self.assertEqual(sorted(path.name for path in (self.folder / "plots").iterdir()), ["languages.svg", "line.svg"])

    def test_unusable_input_is_an_error(self) -> None:
        latency = metric("line", "p50_ms", 5)
        cases = {
            "has no JSON lines": [],
            "no result of languages, accept": [metric("slow", "p50_ms", 5)],
            "the field 'bench' is missing": [{"name": "gavel"}],
            "the field 'value' is missing": [{key: field for key, field in latency.items() if key != "value"}],
            "could not convert string to float": [{**latency, "bar": "fast"}],
            "lack": [latency],
            "has no ratio": [metric("accept", "per_s_at_1", 4_000)],
        }
        for error, lines in cases.items():
            with self.subTest(error):
                self.assert_fails(self.write(lines), error)
        broken = self.folder / "broken"
        broken.write_text('{"bench": "line",\n', encoding="utf-8")
        self.assert_fails(broken, "broken:1 is no JSON")
        self.assert_fails(self.folder / "missing", "cannot read")

    def assert_fails(self, path: Path, error: str) -> None:
        done = self.run_script(path)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertRegex(done.stderr, f"^plot: .*{error}")
        self.assertEqual(done.stderr.count("\n"), 1)
        self.assertFalse((self.folder / "plots").exists())


if __name__ == "__main__":
    unittest.main()
