"""Submits the samples with `gavel submit --json` and follows each through the pipeline."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import IO, Any, Callable, NamedTuple, Optional

from lib import samples
from lib.board import Board, cut, pad, table, width
from lib.samples import Sample

SUBMISSION_TIMEOUT_SECONDS = 180


class Finished(NamedTuple):
    """The result of a submission, and how it differs from the expected one."""

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


class Progress:
    """The events of one submission, from the output of `gavel submit --json`."""

    def __init__(self) -> None:
        self.submission_id: Optional[str] = None
        self.result: Optional[dict[str, Any]] = None
        self.events: list[str] = []
        self._steps: list[str] = []

    def add(self, line: str) -> None:
        """Add the event in one line of output; lines that are not JSON are ignored."""
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
    """Runs `gavel submit` for the samples, a limited number at a time; `gavel` is the command that runs gavel."""

    def __init__(self, gavel: list[str], env: dict[str, str], board: Board) -> None:
        self._gavel = gavel
        self._env = env
        self._board = board
        self._lock = threading.Lock()
        self._stopped = False
        self._running: set[subprocess.Popen[str]] = set()

    def submit_all(self, chosen: list[Sample], concurrency: int) -> list[Finished]:
        """Submit all samples and return their results in the same order."""
        columns = max((width(sample.title) for sample in chosen), default=0)
        pool = ThreadPoolExecutor(concurrency)
        try:
            return list(pool.map(lambda sample: self._submit(sample, columns), chosen))
        finally:
            self._stop()
            pool.shutdown(wait=True, cancel_futures=True)

    def _submit(self, sample: Sample, columns: int) -> Finished:
        """Submit one sample and follow it to its last event."""
        name = pad(sample.title, columns)
        progress = Progress()

        def show() -> None:
            self._board.show(sample.title, f"  {name}  {progress}")

        show()
        started = time.monotonic()
        error = self._follow(sample, progress, show)
        seconds = time.monotonic() - started
        wrong = differences(sample, progress, error)
        if not self._stopped:
            self._board.finish(sample.title, f"{'✗' if wrong else '✓'} {name}  {progress}")
        return Finished(sample, progress.submission_id, progress.result, seconds, wrong)

    def _follow(self, sample: Sample, progress: Progress, show: Callable[[], None]) -> str:
        """Run `gavel submit`, collect its events, and return its error message."""
        command = [*self._gavel, "submit", str(sample.file), "--question", sample.question,
                   "--language", str(sample.language_id), "--kind", sample.kind, "--json"]
        with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as errors:
            process = self._start(command, errors)
            if process is None:
                return "not submitted: the demo was interrupted"
            watchdog = threading.Timer(SUBMISSION_TIMEOUT_SECONDS, process.kill)
            watchdog.start()
            try:
                for line in process.stdout or ():
                    progress.add(line)
                    show()
                code = process.wait()
            finally:
                watchdog.cancel()
                self._running.discard(process)
            errors.seek(0)
            message = samples.clip(errors.read(), 200)
        return message or (f"gavel submit exited with {code}" if code else "gavel submit printed no further events")

    def _start(self, command: list[str], errors: IO[str]) -> Optional[subprocess.Popen[str]]:
        """Start a command; None if the demo is stopping."""
        with self._lock:
            if self._stopped:
                return None
            process = subprocess.Popen(command, env=self._env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                       stderr=errors, text=True, encoding="utf-8", errors="replace")
            self._running.add(process)
            return process

    def _stop(self) -> None:
        """Kill the running commands, and start no others."""
        with self._lock:
            self._stopped = True
            for process in list(self._running):
                process.kill()


def differences(sample: Sample, progress: Progress, error: str) -> list[str]:
    """The differences between a submission's events and the expectation."""
    if progress.result is None:
        return [f"no verdict after {str(progress) or 'nothing'}: {error}"]
    wrong = samples.differences(sample.expect, progress.result)
    if "reported" not in progress.events:
        wrong.append(f"the verdict was not reported: {error}")
    return wrong


def report(finished: list[Finished]) -> int:
    """Print the table and the summary, and return the exit code."""
    rows = [[cut(each.sample.title, 44), each.sample.language, samples.describe_expected(each.sample.expect), each.got,
             f"{each.seconds:5.2f} s", "✗" if each.wrong else "✓"] for each in finished]
    print("\n" + table(["submission", "language", "expected", "got", "time", ""], rows) + "\n")
    wrong = [each for each in finished if each.wrong]
    for each in wrong:
        print(f"✗ {each.sample.title} ({each.submission_id or 'no id'}): {'; '.join(each.wrong)}")
    if wrong:
        print(f"{len(wrong)} of {len(finished)} submissions did not end as expected")
    else:
        print(f"all {len(finished)} submissions ended as expected")
    sys.stdout.flush()
    return 1 if wrong else 0
