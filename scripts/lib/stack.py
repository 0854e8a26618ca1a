"""A separate `gavel up` with free ports and a temporary directory, which leaves nothing behind."""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import socket
import tempfile
from pathlib import Path
from typing import Mapping, NamedTuple

from lib.background import Background
from lib.project import ROOT, Problem, environment
from lib.resource import Resource

READY_SECONDS = 60
# The four services, then the mock of Convex.
SERVICES = 5
# Variables of the user that would connect the pipeline to something else.
EXCLUDED = ("CONVEX_SITE_URL", "CONVEX_TOKEN", "CONVEX_SIGNING_SECRETS", "CONVEX_ORDER", "INGRESS_KEYS", "INGRESS_URL",
            "NATS_URL", "JUDGE0_BASE_URL", "JUDGE0_API_KEY")


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


def free_ports_of_app() -> tuple[int, int]:
    """Free ports for the page and the HTTP actions of the example app: the dev server's defaults if they are free."""
    # A multiple of 10 and the ports after it may become those of a stack.
    for first in (3210, *(random.randrange(20_008, 32_000, 10) for _ in range(200))):
        if is_free(first) and is_free(first + 1):
            return first, first + 1
    raise Problem("found no two free ports in a row between 20000 and 32000 on this machine")


class Stack(Resource):
    """A running `gavel up` with its data; a context manager. `settings` are added to its environment."""

    def __init__(self, gavel: Path, nats_server: str, usual_ports: bool = False, settings: Mapping[str, str] = {}) -> None:
        self._gavel = gavel
        self._nats_server = nats_server
        self._usual_ports = usual_ports
        self._settings = settings
        self.folder = Path(tempfile.mkdtemp(prefix="gavel-demo-"))
        self.process = Background("gavel up", self.folder / "gavel.log")
        self._others: list[Background] = []
        self.ports = Ports(0, 0)

    @property
    def ingress_url(self) -> str:
        return f"http://127.0.0.1:{self.ports.first}"

    @property
    def nats_url(self) -> str:
        return f"nats://127.0.0.1:{self.ports.nats}"

    def child_environment(self) -> dict[str, str]:
        """The environment for `gavel up` and for commands that connect to it."""
        env = {name: value for name, value in environment().items() if name not in EXCLUDED}
        # Connections inside the stack must not use the user's proxy.
        env.update({"NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost"})
        return env

    def client_environment(self) -> dict[str, str]:
        """The environment for commands such as `gavel submit`."""
        return {**self.child_environment(), "INGRESS_URL": self.ingress_url, "NATS_URL": self.nats_url}

    def add(self, name: str) -> Background:
        """A process to start, which is stopped together with `gavel up`."""
        process = Background(name, self.folder / f"{name}.log")
        self._others.append(process)
        return process

    def _start(self) -> None:
        """Start; try other ports if another process took one in the meantime."""
        for attempt in range(3):
            self.ports = free_ports(self._usual_ports and attempt == 0)
            self._spawn()
            if self.process.wait_ready(f"{self.ingress_url}/readyz", READY_SECONDS):
                return
            in_use = re.search(r"address (already )?in use", self.process.log_text(), re.IGNORECASE)
            if in_use is None or self.process.is_running():
                break
            self.process.stop()
        self._fail()

    def _spawn(self) -> None:
        """Start `gavel up`."""
        env = {**self.child_environment(), "PORT": str(self.ports.first), "NATS_PORT": str(self.ports.nats),
               "DATA_DIR": str(self.folder / "data"), "NATS_SERVER": self._nats_server, **self._settings}
        self.process.start([str(self._gavel), "up"], env)

    def _fail(self) -> None:
        """Raise a Problem that says why the stack did not start."""
        failure = f"was not ready after {READY_SECONDS} s"
        if self.process.exit_code() is not None:
            failure = f"exited with {self.process.exit_code()} before it was ready"
        hint = ""
        if os.geteuid() != 0:
            hint = '\nThe sandbox needs root: try `sudo env "PATH=$PATH" scripts/demo`.'
        raise Problem(f"gavel up {failure}; the end of its log:\n{self.process.log_tail()}{hint}")

    def keep_log(self) -> Path:
        """Copy the log to .gavel/, where it outlives the stack; return its path."""
        kept = ROOT / ".gavel" / "demo.log"
        kept.parent.mkdir(exist_ok=True)
        shutil.copyfile(self.process.log, kept)
        return kept

    def close(self) -> None:
        """Stop everything and remove the data; a second Ctrl-C does not interrupt this."""
        handled = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        previous = [signal.signal(number, signal.SIG_IGN) for number in handled]
        try:
            for process in (*self._others, self.process):
                process.stop()
            shutil.rmtree(self.folder, ignore_errors=True)
        finally:
            for number, handler in zip(handled, previous):
                signal.signal(number, handler)
