"""The demo with a fake gavel: its exit code, its table, and that it leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path
from typing import Any

SCRIPTS = Path(__file__).resolve().parent.parent

PASSED = {"status": "passed", "passedCount": 5}
WRONG = {"status": "failed", "firstFailureIndex": 2, "passedCount": 2, "message": "Wrong answer"}
BROKEN = {"status": "failed", "firstFailureIndex": 0, "messageContains": "誤り"}


def alive(pid: int) -> bool:
    """Whether a process is running; a zombie is not."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except FileNotFoundError:
        return False


class Demo(unittest.TestCase):
    def setUp(self) -> None:
        holder = tempfile.TemporaryDirectory(prefix="demo test ")
        self.addCleanup(holder.cleanup)
        self.folder = Path(holder.name)
        self.notes = self.folder / "notes"
        self.cargo_notes = self.folder / "cargo notes"

    def samples(self, *entries: tuple[str, dict[str, Any]]) -> Path:
        """A list of samples whose programs contain only the name of their verdict."""
        listing = []
        for number, (text, expect) in enumerate(entries):
            file = self.folder / f"{number}.txt"
            file.write_text(text, encoding="utf-8")
            listing.append({"title": f"{text} {number}", "file": file.name, "language": 71, "question": "q1",
                            "kind": "standard", "expect": expect})
        path = self.folder / "demo.json"
        path.write_text(json.dumps(listing), encoding="utf-8")
        return path

    def start(self, listing: Path, *options: str, **env: str) -> subprocess.Popen[str]:
        command = [sys.executable, str(SCRIPTS / "demo"), "--gavel", str(SCRIPTS / "tests" / "fake_gavel"),
                   "--samples", str(listing), *options]
        return subprocess.Popen(command, env={**os.environ, "FAKE_NOTES": str(self.notes), "TMPDIR": str(self.folder), **env},
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def start_with_build(self, **env: str) -> subprocess.Popen[str]:
        """Start the demo with a cargo that builds fake_gavel."""
        programs = self.folder / "bin"
        programs.mkdir(exist_ok=True)
        for name, target in (("cargo", SCRIPTS / "tests" / "fake_cargo"), ("cc", Path(sys.executable))):
            (programs / name).unlink(missing_ok=True)
            (programs / name).symlink_to(target)
        command = [sys.executable, str(SCRIPTS / "demo"), "--samples", str(self.samples(("right", PASSED)))]
        notes = {"FAKE_NOTES": str(self.notes), "FAKE_CARGO_NOTES": str(self.cargo_notes)}
        path = f"{programs}:{os.environ['PATH']}"
        return subprocess.Popen(command, env={**os.environ, "PATH": path, "TMPDIR": str(self.folder), **notes, **env},
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def assert_build_stopped(self) -> None:
        # Without notes it was stopped before it could write them.
        if self.cargo_notes.exists():
            self.assertFalse(alive(int(self.cargo_notes.read_text(encoding="utf-8"))), "cargo is still running")

    def run_demo(self, listing: Path, *options: str, **env: str) -> tuple[int, str, str]:
        process = self.start(listing, *options, **env)
        output, errors = process.communicate(timeout=60)
        return process.returncode, output, errors

    def wait_for(self, path: Path) -> None:
        deadline = time.monotonic() + 30
        while not (path.exists() and path.read_text(encoding="utf-8")):
            self.assertLess(time.monotonic(), deadline, f"{path.name} was not written")
            time.sleep(0.02)

    def assert_nothing_left(self) -> None:
        owner, child, data = self.notes.read_text(encoding="utf-8").split(" ", 2)
        self.assertFalse(alive(int(owner)), "gavel up is still running")
        # It was killed, which takes effect later on a busy machine.
        deadline = time.monotonic() + 10
        while alive(int(child)):
            self.assertLess(time.monotonic(), deadline, "its child is still running")
            time.sleep(0.02)
        self.assertFalse(Path(data).parent.exists(), "the temporary data still exists")

    def test_all_as_expected(self) -> None:
        code, output, errors = self.run_demo(self.samples(("right", PASSED), ("wrong", WRONG), ("broken", BROKEN)))
        self.assertEqual(code, 0, output + errors)
        self.assertIn('queued → ready → running → judged failed 2/5 "Wrong answer" → reported', output)
        self.assertIn("all 3 submissions ended as expected", output)
        self.assert_nothing_left()

    def test_built_binary_is_used(self) -> None:
        process = self.start_with_build()
        output, errors = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 0, output + errors)
        self.assertIn("building gavel", errors)
        self.assertIn("all 1 submissions ended as expected", output)
        self.assert_nothing_left()

    def test_failed_build_starts_nothing(self) -> None:
        process = self.start_with_build(FAKE_BUILD_FAILS="1")
        _, errors = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 1)
        self.assertIn("the build failed", errors)
        self.assertFalse(self.notes.exists())

    def test_failed_tools_stop_the_build(self) -> None:
        with tempfile.TemporaryDirectory() as missing:
            process = self.start_with_build(FAKE_BUILD_HANGS="1", NATS_SERVER=f"{missing}/nats-server")
            _, errors = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 1)
        self.assertIn("building gavel", errors)
        self.assertIn("\ntools: NATS_SERVER=", errors)
        self.assertIn("cannot continue without the tools above", errors)
        self.assert_build_stopped()

    def test_interrupt_while_building_stops_the_build(self) -> None:
        process = self.start_with_build(FAKE_BUILD_HANGS="1")
        self.wait_for(self.cargo_notes)
        process.terminate()
        process.communicate(timeout=30)
        self.assertEqual(process.returncode, 130)
        self.assert_build_stopped()

    def test_table_is_aligned(self) -> None:
        _, output, _ = self.run_demo(self.samples(("right", PASSED), ("broken", BROKEN)))
        rows = [line for line in output.splitlines() if line.endswith("  ✓")]
        self.assertEqual(len(rows), 2, output)
        # The second row contains the two wide characters twice; each takes two columns.
        self.assertEqual(len(rows[0]) - len(rows[1]), 4, output)

    def test_unexpected_verdict_fails(self) -> None:
        code, output, _ = self.run_demo(self.samples(("right", WRONG), ("wrong", WRONG)))
        self.assertEqual(code, 1)
        self.assertIn('status is "passed", not "failed"', output)
        self.assertIn("1 of 2 submissions did not end as expected", output)
        self.assert_nothing_left()

    def test_refused_submission_fails_with_its_reason(self) -> None:
        code, output, _ = self.run_demo(self.samples(("refused", PASSED)))
        self.assertEqual(code, 1)
        self.assertIn("the ingress answered 400", output)
        self.assert_nothing_left()

    def test_failed_start_shows_the_log(self) -> None:
        code, _, errors = self.run_demo(self.samples(("right", PASSED)), FAKE_FAILS="1")
        self.assertEqual(code, 1)
        self.assertIn("gavel up exited with 1", errors)
        self.assertIn("the disk is full", errors)
        self.assertEqual(list(self.folder.glob("gavel-demo-*")), [])

    def test_interrupt_while_judging_stops_everything(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(signal=number.name):
                self.notes.unlink(missing_ok=True)
                process = self.start(self.samples(("stuck", PASSED), ("right", PASSED)))
                self.wait_for(self.notes)
                process.send_signal(number)
                process.communicate(timeout=30)
                self.assertEqual(process.returncode, 130)
                self.assert_nothing_left()

    def test_process_that_ignores_sigterm_is_killed(self) -> None:
        code, _, errors = self.run_demo(self.samples(("right", PASSED)), FAKE_STUBBORN="1")
        self.assertEqual(code, 0, errors)
        self.assertIn("killing it", errors)
        self.assert_nothing_left()

    def test_keep_stays_up_until_interrupted(self) -> None:
        process = self.start(self.samples(("right", PASSED)), "--keep")
        assert process.stdout is not None
        shown = ""
        for line in process.stdout:
            shown += line
            if "Press Ctrl-C to stop" in line:
                break
        self.assertIn("/v1/judge-question", shown)
        self.assertIn("mock Convex received:\n  http://127.0.0.1:7", shown)
        self.assertTrue(alive(int(self.notes.read_text(encoding="utf-8").split()[0])))
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
        self.assertEqual(process.returncode, 0)
        self.assert_nothing_left()

    def test_invalid_entries_of_the_list_are_named(self) -> None:
        code, _, errors = self.run_demo(self.samples(("right", {"status": "passed", "passed": 5})))
        self.assertEqual(code, 1)
        self.assertIn("right 0: `expect` needs a status and may have only", errors)


if __name__ == "__main__":
    unittest.main()
