"""Submitting the samples with `gavel submit`, and following each through the line."""

from __future__ import annotations

import json
import subprocess
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any, Callable, NamedTuple, Optional

from lib import samples
from lib.board import Board, pad, width
from lib.samples import Sample

PATIENCE_SECONDS = 180


class Ended(NamedTuple):
    """How a submission ended, and what of that was not as expected."""

    sample: Sample
    submission_id: Optional[str]
    result: Optional[dict[str, Any]]
    seconds: float
    wrong: list[str]

    @property
    def got(self) -> str:
        if self.result is None:
            return "no verdict"
        return samples.describe_result(self.result, self.sample.expect.get("messageContains", ""))


class Course:
    """The steps that one submission has taken, as `gavel submit --json` told them."""

    def __init__(self) -> None:
        self.submission_id: Optional[str] = None
        self.result: Optional[dict[str, Any]] = None
        self.events: list[str] = []
        self._steps: list[str] = []

    def take(self, line: str) -> None:
        """One line of JSON; anything else is left to the error report."""
        try:
            step = json.loads(line)
            event = str(step["event"])
        except (ValueError, KeyError, TypeError):
            return
        self.events.append(event)
        self.submission_id = step.get("submissionId", self.submission_id)
        if isinstance(step.get("result"), dict):
            self.result = step["result"]
            event = f"{event} {verdict(self.result)}"
        self._steps.append(event)

    def __str__(self) -> str:
        return " → ".join(self._steps)


def verdict(result: dict[str, Any]) -> str:
    """`failed 2/5 "Wrong answer"`."""
    count = f" {result['passedCount']}/{result['totalCount']}" if "totalCount" in result and "passedCount" in result else ""
    message = samples.failure_message(result)
    quoted = f' "{samples.clip(message, 40)}"' if message else ""
    return f"{result.get('status')}{count}{quoted}"


class Submitter:
    """Runs `gavel submit` for samples, some at a time."""

    def __init__(self, gavel: Path, env: dict[str, str], board: Board) -> None:
        self._gavel = gavel
        self._env = env
        self._board = board
        self._lock = threading.Lock()
        self._stopped = False
        self._running: set[subprocess.Popen[str]] = set()

    def submit_all(self, chosen: list[Sample], at_once: int) -> list[Ended]:
        """Submit each sample; in the order they were given, how each ended."""
        columns = max((width(sample.title) for sample in chosen), default=0)
        pool = ThreadPoolExecutor(at_once)
        try:
            return list(pool.map(lambda sample: self._submit(sample, columns), chosen))
        finally:
            self._stop()
            pool.shutdown(wait=True, cancel_futures=True)

    def _submit(self, sample: Sample, columns: int) -> Ended:
        """One submission, from its file to the last event."""
        name = pad(sample.title, columns)
        course = Course()

        def moved() -> None:
            self._board.show(sample.title, f"  {name}  {course}")

        moved()
        started = time.monotonic()
        complaint = self._follow(sample, course, moved)
        seconds = time.monotonic() - started
        wrong = judge(sample, course, complaint)
        if not self._stopped:
            self._board.finish(sample.title, f"{'✗' if wrong else '✓'} {name}  {course}")
        return Ended(sample, course.submission_id, course.result, seconds, wrong)

    def _follow(self, sample: Sample, course: Course, moved: Callable[[], None]) -> str:
        """Run the command to its end and take its steps; what it said on stderr."""
        command = [str(self._gavel), "submit", str(sample.file), "--question", sample.question,
                   "--language", str(sample.language_id), "--kind", sample.kind, "--json"]
        with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as errors:
            process = self._start(command, errors)
            if process is None:
                return "not submitted: the demo was stopped"
            watchdog = threading.Timer(PATIENCE_SECONDS, process.kill)
            watchdog.start()
            try:
                for line in process.stdout or ():
                    course.take(line)
                    moved()
                code = process.wait()
            finally:
                watchdog.cancel()
                self._running.discard(process)
            errors.seek(0)
            said = samples.clip(errors.read(), 200)
        return said or (f"gavel submit exited with {code}" if code else "gavel submit said no more")

    def _start(self, command: list[str], errors: IO[str]) -> Optional[subprocess.Popen[str]]:
        """Start a command, unless the demo is stopping."""
        with self._lock:
            if self._stopped:
                return None
            process = subprocess.Popen(command, env=self._env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                       stderr=errors, text=True, encoding="utf-8", errors="replace")
            self._running.add(process)
            return process

    def _stop(self) -> None:
        """End what runs and start nothing more."""
        with self._lock:
            self._stopped = True
            for process in list(self._running):
                process.kill()


def judge(sample: Sample, course: Course, complaint: str) -> list[str]:
    """What is not as expected about a submission's course."""
    if course.result is None:
        return [f"no verdict after {str(course) or 'nothing'}: {complaint}"]
    wrong = samples.differences(sample.expect, course.result)
    if "reported" not in course.events:
        wrong.append(f"the verdict was not reported: {complaint}")
    return wrong
