"""A small Convex app for tests: it serves questions, records every call, and answers with the statuses that a test plans."""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from lib.project import ROOT, Problem

COMPARISON = {"trimOutputs": True, "normalizeWhitespace": False, "caseSensitive": True}
# The question of all ids that the samples do not have: any program that prints 1 passes.
PRINT_ONE = {"question": {"timeLimitSeconds": 10, "memoryLimitMb": 256, "outputComparison": COMPARISON},
             "testCases": [{"visibility": "public", "stdin": "", "expectedStdout": "1\n", "order": 0}]}
NO_SUCH_QUESTION = "missing"
WAIT_SECONDS = 120


class Call(NamedTuple):
    """A call that the app received, and the status of its answer; the names of headers are in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    status: int

    @property
    def value(self) -> Any:
        return json.loads(self.body)

    @property
    def id(self) -> str:
        """The id of the submission or question that the call is about; empty for a probe."""
        return self.value.get("submissionId") or self.value.get("questionId", "")


class ConvexApp:
    """The app on a free port; a context manager."""

    def __init__(self) -> None:
        samples = json.loads((ROOT / "samples" / "questions.json").read_text(encoding="utf-8"))
        self._questions = {each["question"]["_id"]: each for each in samples}
        self._planned: dict[tuple[str, str], list[int]] = defaultdict(list)
        self._calls: list[Call] = []
        self._changed = threading.Condition(threading.RLock())
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler_of(self))

    def __enter__(self) -> ConvexApp:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def plan(self, path: str, about: str, *statuses: int) -> None:
        """Answer the next calls of a path about a submission or question with these statuses, and later ones as usual."""
        with self._changed:
            self._planned[path, about] += statuses

    def calls(self, path: str = "", about: str = "") -> list[Call]:
        """The calls so far whose path ends like this, about this submission or question."""
        with self._changed:
            return [call for call in self._calls if call.path.endswith(path) and about in ("", call.id)]

    def wait_for_calls(self, path: str, about: str, count: int) -> None:
        """Wait until there are this many calls as in `calls`."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self.calls(path, about)) >= count, WAIT_SECONDS):
                raise Problem(f"the app got {len(self.calls(path, about))} calls of {path} about {about}, expected {count}")

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        """Record a call; return the status and body of its answer."""
        about = Call(method, path, headers, body, 0).id
        with self._changed:
            planned = self._planned[path, about]
            status = planned.pop(0) if planned else {NO_SUCH_QUESTION: 404, "": 400}.get(about, 200)
            self._calls.append(Call(method, path, headers, body, status))
            self._changed.notify_all()
        if status == 200 and path.endswith("testcases"):
            return status, json.dumps(self._questions.get(about, PRINT_ONE)).encode()
        return status, json.dumps({"ok": status == 200}).encode()


def handler_of(app: ConvexApp) -> type[BaseHTTPRequestHandler]:
    """The handler class of http.server for this app."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            # Gavel's traces come to the same port.
            status, answer = (200, b"") if self.path == "/v1/traces" else app.answer(self.command, self.path, headers, body)
            self.send_response(status)
            self.send_header("content-type", "application/json")
            if status != 204:
                self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: Any) -> None:
            """Log nothing: the calls are recorded."""

    return Handler
