"""A real ingress with a real nats-server on free ports, for tests of its HTTP interface."""

from __future__ import annotations

import http.client
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from lib.background import Background
from lib.programs import program
from lib.project import Problem, environment
from lib.resource import Resource
from lib.stack import free_ports

READY_SECONDS = 30


class Answer(NamedTuple):
    """An answer to a request; the names of headers are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class Server:
    """A running program with its log."""

    def __init__(self, command: list[str], env: dict[str, str], log: Path, port: int) -> None:
        self.port = port
        self._process = Background(Path(command[0]).name, log)
        self._process.start(command, env)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def wait_until(self, path: str, status: int) -> None:
        """Wait until a path answers with a status; a Problem with the log if it does not."""
        deadline = time.monotonic() + READY_SECONDS
        while self._process.is_running() and time.monotonic() < deadline:
            try:
                if self.request("GET", path).status == status:
                    return
            except OSError:
                pass
            time.sleep(0.05)
        self.stop()
        raise Problem(f"{self.url}{path} did not answer {status}; the end of the log:\n{self._process.log_tail()}")

    def request(self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> Answer:
        """Send a request and return the answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, body, headers or {})
            return answer_of(connection.getresponse())
        finally:
            connection.close()

    def stop(self) -> None:
        """Stop the program; kill it if it does not end."""
        self._process.stop()


def answer_of(response: http.client.HTTPResponse) -> Answer:
    """The answer in a response."""
    return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())


class Servers(Resource):
    """A nats-server and ingresses with different settings; a context manager that leaves nothing behind."""

    def __init__(self, nats_server: str) -> None:
        self._nats_server = nats_server
        self._folder = Path(tempfile.mkdtemp(prefix="gavel-openapi-"))
        self._started: list[Server] = []
        self._nats: Server | None = None

    def _start(self) -> None:
        monitor = free_ports(usual_first=False).first
        self._nats_port = monitor + 1
        command = [self._nats_server, "--jetstream", "--store_dir", str(self._folder / "nats"), "--addr", "127.0.0.1",
                   "--port", str(self._nats_port), "--http_port", str(monitor)]
        self._nats = self._add(command, dict(os.environ), monitor)
        self._nats.wait_until("/healthz", 200)

    def ingress(self, **settings: Any) -> Server:
        """Start an ingress with these environment variables."""
        port = free_ports(usual_first=False).first
        env = {"PATH": environment()["PATH"], "NATS_URL": f"nats://127.0.0.1:{self._nats_port}", "PORT": str(port),
               **{name: str(value) for name, value in settings.items()}}
        server = self._add([program("gavel-ingress")], env, port)
        server.wait_until("/readyz", 200)
        return server

    def _add(self, command: list[str], env: dict[str, str], port: int) -> Server:
        server = Server(command, env, self._folder / f"{len(self._started)}.log", port)
        self._started.append(server)
        return server

    def stop_nats(self) -> None:
        """Stop the nats-server, so that nothing can be queued."""
        assert self._nats is not None
        self._nats.stop()

    def close(self) -> None:
        """Stop everything and remove the data."""
        for server in reversed(self._started):
            server.stop()
        shutil.rmtree(self._folder, ignore_errors=True)
