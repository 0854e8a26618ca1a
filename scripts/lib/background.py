"""A process in the background, in a separate session, whose output goes to a log."""

from __future__ import annotations

import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Optional

from lib.project import ROOT, info

STOP_SECONDS = 10


class Background:
    """A command that runs until it is stopped. Its session is separate, so that Ctrl-C reaches only this script."""

    def __init__(self, name: str, log: Path) -> None:
        self.name = name
        self.log = log
        self._process: Optional[subprocess.Popen[bytes]] = None

    def start(self, command: list[str], env: dict[str, str]) -> None:
        """Start the command."""
        with open(self.log, "wb") as log:
            self._process = subprocess.Popen(command, env=env, cwd=ROOT, start_new_session=True,
                                             stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)

    def is_running(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.poll() is None

    def exit_code(self) -> Optional[int]:
        """The exit code of the process; None if it runs or was not started."""
        return None if self._process is None else self._process.poll()

    def wait_ready(self, url: str, seconds: float) -> bool:
        """Poll a URL until it answers 200; False if the process exits or the time has passed."""
        deadline = time.monotonic() + seconds
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        while time.monotonic() < deadline and self.is_running():
            try:
                with opener.open(url, timeout=2) as answer:
                    if answer.status == 200:
                        return True
            except (OSError, urllib.error.URLError):
                pass
            time.sleep(0.1)
        return False

    def wait(self) -> None:
        """Wait until the process exits."""
        assert self._process is not None, "the process must be started before it is waited for"
        self._process.wait()

    def log_text(self) -> str:
        """The output so far."""
        try:
            return self.log.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""

    def log_tail(self, lines: int = 40) -> str:
        """The end of the log, indented as a quotation."""
        tail = self.log_text().splitlines()[-lines:] or ["(no output)"]
        return "\n".join(f"  │ {line}" for line in tail)

    def stop(self) -> None:
        """Send SIGTERM, then SIGKILL to the remaining processes of the session."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            info(f"{self.name} did not exit within {STOP_SECONDS} s of SIGTERM; killing it")
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()
