"""A separate `gavel up` with free ports and a temporary directory, which leaves nothing behind."""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import NamedTuple, Optional

from lib.project import ROOT, Problem, environment, info

READY_SECONDS = 60
STOP_SECONDS = 10
# The four services, then the mock of Convex.
SERVICES = 5
# Variables of the user that would connect the pipeline to something else.
EXCLUDED = ("CONVEX_SITE_URL", "NATS_URL", "INGRESS_URL", "JUDGE0_BASE_URL", "JUDGE0_API_KEY")


class Ports(NamedTuple):
    """The ports of the stack: the services and the mock of Convex from `first` on, and nats-server."""

    first: int
    nats: int


def is_free(port: int) -> bool:
    """Whether a server can listen on a port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("0.0.0.0", port))
        except OSError:
            return False
    return True


def all_free(ports: Ports) -> bool:
    """Whether all ports are free."""
    return all(is_free(port) for port in [ports.nats, *range(ports.first, ports.first + SERVICES)])


def free_ports(usual_first: bool) -> Ports:
    """Free ports; the documented ones if requested and free."""
    if usual_first and all_free(Ports(4001, 4222)):
        return Ports(4001, 4222)
    for _ in range(200):
        # Below the range of ephemeral ports.
        first = random.randrange(20_000, 32_000, 10)
        ports = Ports(first, first + SERVICES)
        if all_free(ports):
            return ports
    raise Problem("found no six free ports in a row between 20000 and 32000 on this machine")


class Stack:
    """A running `gavel up` with its data; a context manager."""

    def __init__(self, gavel: Path, nats_server: str, usual_ports: bool = False) -> None:
        self._gavel = gavel
        self._nats_server = nats_server
        self._usual_ports = usual_ports
        self._folder = Path(tempfile.mkdtemp(prefix="gavel-demo-"))
        self._process: Optional[subprocess.Popen[bytes]] = None
        self.log = self._folder / "gavel.log"
        self.ports = Ports(0, 0)

    @property
    def ingress_url(self) -> str:
        return f"http://127.0.0.1:{self.ports.first}"

    @property
    def nats_url(self) -> str:
        return f"nats://127.0.0.1:{self.ports.nats}"

    def __enter__(self) -> Stack:
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def child_environment(self) -> dict[str, str]:
        """The environment for `gavel up` and for commands that connect to it."""
        env = {name: value for name, value in environment().items() if name not in EXCLUDED}
        # Connections inside the stack must not use the user's proxy.
        env.update({"NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost"})
        return env

    def client_environment(self) -> dict[str, str]:
        """The environment for commands such as `gavel submit`."""
        return {**self.child_environment(), "INGRESS_URL": self.ingress_url, "NATS_URL": self.nats_url}

    def _start(self) -> None:
        """Start; try other ports if another process took one in the meantime."""
        for attempt in range(3):
            self.ports = free_ports(self._usual_ports and attempt == 0)
            self._spawn()
            if self._wait_ready():
                return
            in_use = re.search(r"address (already )?in use", self.log_text(), re.IGNORECASE)
            if in_use is None or self._running():
                break
            self._stop_process()
        self._fail()

    def _spawn(self) -> None:
        """Start `gavel up` in a new session, so that Ctrl-C reaches only this script."""
        env = {**self.child_environment(), "PORT": str(self.ports.first), "NATS_PORT": str(self.ports.nats),
               "DATA_DIR": str(self._folder / "data"), "NATS_SERVER": self._nats_server}
        with open(self.log, "wb") as log:
            self._process = subprocess.Popen([str(self._gavel), "up"], env=env, cwd=ROOT, start_new_session=True,
                                             stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)

    def _wait_ready(self) -> bool:
        """Poll readiness until it is ready, the process exits, or READY_SECONDS have passed."""
        deadline = time.monotonic() + READY_SECONDS
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        while time.monotonic() < deadline and self._running():
            try:
                with opener.open(f"{self.ingress_url}/readyz", timeout=2) as answer:
                    if answer.status == 200:
                        return True
            except (OSError, urllib.error.URLError):
                pass
            time.sleep(0.1)
        return False

    def _running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def wait(self) -> None:
        """Wait until `gavel up` exits, or for Ctrl-C."""
        assert self._process is not None, "the stack must be started before it is waited for"
        self._process.wait()

    def log_text(self) -> str:
        """The output of `gavel up` so far."""
        try:
            return self.log.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""

    def _fail(self) -> None:
        """Raise a Problem that says why the stack did not start."""
        failure = f"was not ready after {READY_SECONDS} s"
        if self._process is not None and not self._running():
            failure = f"exited with {self._process.returncode} before it was ready"
        hint = ""
        if os.geteuid() != 0:
            hint = '\nThe sandbox needs root: try `sudo env "PATH=$PATH" scripts/demo`.'
        raise Problem(f"gavel up {failure}; the end of its log:\n{self.log_tail()}{hint}")

    def log_tail(self, lines: int = 40) -> str:
        """The end of the log, indented as a quotation."""
        tail = self.log_text().splitlines()[-lines:] or ["(no output)"]
        return "\n".join(f"  │ {line}" for line in tail)

    def keep_log(self) -> Path:
        """Copy the log to .gavel/, where it outlives the stack; return its path."""
        kept = ROOT / ".gavel" / "demo.log"
        kept.parent.mkdir(exist_ok=True)
        shutil.copyfile(self.log, kept)
        return kept

    def close(self) -> None:
        """Stop everything and remove the data; a second Ctrl-C does not interrupt this."""
        handled = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        previous = [signal.signal(number, signal.SIG_IGN) for number in handled]
        try:
            self._stop_process()
            shutil.rmtree(self._folder, ignore_errors=True)
        finally:
            for number, handler in zip(handled, previous):
                signal.signal(number, handler)

    def _stop_process(self) -> None:
        """Send SIGTERM, then SIGKILL to the remaining processes of the session."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            info(f"gavel up did not exit within {STOP_SECONDS} s of SIGTERM; killing it")
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()
