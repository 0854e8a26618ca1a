"""The simulation of the pipeline, against the theory of queues and against invented measurements."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lib import capacity  # noqa: E402  (the scripts are no installed package)
from lib.project import ROOT  # noqa: E402
from lib.queues import Step, simulate  # noqa: E402


class Queues(unittest.TestCase):
    def test_open_loop_has_the_latency_of_an_mm2_queue(self) -> None:
        service, per_s = 0.001, 1_400.0
        run = simulate({"cpu": 2}, [Step("cpu", service)], 200_000, per_s=per_s)
        utilisation = per_s * service / 2
        mean = sum(run.latencies) / len(run.latencies)
        self.assertAlmostEqual(mean, service / (1 - utilisation ** 2), delta=mean * 0.05)
        self.assertAlmostEqual(run.busy["cpu"], utilisation, delta=0.02)

    def test_closed_loop_is_limited_by_its_population_and_by_its_servers(self) -> None:
        route = [Step("wait", 0.1, varies=False), Step("cpu", 0.001)]
        few = simulate({"cpu": 2, "wait": None}, route, 5_000, population=10)
        self.assertAlmostEqual(few.per_s, 10 / 0.101, delta=2)
        many = simulate({"cpu": 2, "wait": None}, route, 50_000, population=1_000)
        self.assertAlmostEqual(many.per_s, 2_000, delta=60)

    def test_exact_times_without_waiting_add_up(self) -> None:
        route = [Step("a", 0.2, varies=False), Step("b", 0.3, varies=False)]
        run = simulate({"a": 1, "b": 1}, route, 100, population=1)
        self.assertAlmostEqual(run.percentile(50), 0.5)
        self.assertAlmostEqual(run.per_s, 2.0)


def write(folder: Path, saturation_per_s: float = 2_000) -> Path:
    """Invented measurements that agree with each other: a submission takes 1 ms of CPU time, a request 0.05 ms, wake-ups 0.15 ms."""
    cpu_us = {"ingress": 100, "fetcher": 150, "instant-judge": 150, "reporter": 200, "nats-server": 300, "load": 100}
    values: dict[tuple[str, str], float] = {("memory", f"{process}_cpu_us"): value for process, value in cpu_us.items()}
    values |= {("accept", f"per_s_at_{n}"): n / (0.15e-3 + n * 0.05e-3) for n in (1, 16, 64, 128)}
    values |= {("scale", f"per_s_with_{n}"): 10 * n for n in (1, 2, 4, 8, 16, 32)}
    values["line", "saturation_per_s"] = saturation_per_s
    path = folder / "measured.jsonl"
    lines = [{"bench": bench, "metric": metric, "value": value} for (bench, metric), value in values.items()]
    path.write_text("\n".join(json.dumps(line) for line in lines), encoding="utf-8")
    return path


class Model(unittest.TestCase):

    def measured(self, saturation_per_s: float = 2_000) -> capacity.Measured:
        with tempfile.TemporaryDirectory() as folder:
            return capacity.Measured(write(Path(folder), saturation_per_s))

    def test_consistent_measurements_are_reproduced(self) -> None:
        found = capacity.points(self.measured())
        self.assertEqual(len(found), 10)
        for point in found:
            with self.subTest(point.name):
                self.assertLess(abs(point.deviation), capacity.TOLERANCE)

    def test_measurement_that_contradicts_the_others_deviates(self) -> None:
        deviations = [point.name for point in capacity.points(self.measured(saturation_per_s=1_000))
                      if abs(point.deviation) > capacity.TOLERANCE]
        self.assertEqual(deviations, ["line saturation_per_s"])

    def test_requests_share_wake_ups(self) -> None:
        law = {n: n / (0.15e-3 + n * 0.05e-3) for n in (1, 16, 64, 128)}
        for connections, per_s in capacity.accepted_per_s(law).items():
            self.assertAlmostEqual(per_s, law[connections])
        # If 16 connections were as fast as 64, the requests would share nothing between these.
        self.assertLess(capacity.accepted_per_s({**law, 16: law[64]})[16], 0.96 * law[64])

    def test_more_load_needs_more_of_everything_and_is_served(self) -> None:
        small, large = (capacity.plan(self.measured(), load, 0.085, 0.05, count=20_000) for load in (10_000, 1_000_000))
        self.assertGreater(large.slots, 50 * small.slots)
        self.assertGreater(large.partitions, small.partitions)
        for needs in (small, large):
            self.assertLess(max(needs.busy.values()), 0.9)
            self.assertLess(needs.p99_seconds, 2.0)


class Script(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))

    def simulate(self, path: Path, *options: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(ROOT / "scripts" / "simulate"), str(path), "--per-minute", "10000", *options]
        return subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120,
                              check=False)

    def test_points_within_the_tolerance_are_a_success(self) -> None:
        done = self.simulate(write(self.folder))
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        saturation = next(line.split() for line in done.stdout.splitlines() if line.startswith("line saturation_per_s"))
        self.assertEqual(saturation[2], "2000")
        self.assertRegex(saturation[4], r"^[+-]\d\.\d%$")

    def test_point_that_differs_by_more_than_the_tolerance_is_a_failure(self) -> None:
        done = self.simulate(write(self.folder, saturation_per_s=1_600))
        self.assertEqual(done.returncode, 1)
        self.assertEqual(done.stderr, "the simulation differs by more than 15%: line saturation_per_s\n")
        self.assertIn("+2", next(line for line in done.stdout.splitlines() if line.startswith("line saturation_per_s")))

    def test_cost_is_that_of_all_cores(self) -> None:
        done = self.simulate(write(self.folder), "--core-hour", "0.05", "2")
        title, row = (line.split() for line in done.stdout.splitlines()[-2:])
        self.assertEqual(title, "per minute services NATS slots all cores at 0.05 at 2".split())
        # 167 submissions a second need less than a core of each service and of each of three servers, and 22 slots of 85 ms
        # at a utilisation of 65 %.
        self.assertEqual(row, ["10000", "4", "3", "22", "29", "1.45", "58.00"])
        self.assertNotIn("NATS", self.simulate(write(self.folder)).stdout)

    def test_unusable_measurements_are_an_error(self) -> None:
        path = write(self.folder)
        lines = path.read_text(encoding="utf-8").splitlines()
        for error, text in (("has no JSON lines", ""), ("is no JSON", '{"bench"'),
                            ("lack saturation_per_s of line: run scripts/bench line", "\n".join(lines[:-1])),
                            ("saturation_per_s of line is 0.0", "\n".join([*lines[:-1], lines[-1].replace("2000", "0")]))):
            with self.subTest(error):
                path.write_text(text, encoding="utf-8")
                done = self.simulate(path)
                self.assertEqual((done.returncode, done.stdout), (1, ""))
                self.assertRegex(done.stderr, f"^simulate: .*{error}.*\n$")


if __name__ == "__main__":
    unittest.main()
