"""The real ingress answers as docs/openapi.yaml describes: generated requests, and each answer that is described."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lib import nats_server, openapi_tools  # noqa: E402  (the scripts are no installed package)
from lib.ingress import Answer, Server, Servers, answer_of  # noqa: E402
from lib.openapi import Document  # noqa: E402

SCRIPTS = Path(__file__).resolve().parent.parent
KEY = "test-key"
POST, LANGUAGES = "/v1/judge-question", "/v1/languages"
VALID = {"questionId": "k57sum", "submissionId": "k97first", "languageId": 71, "sourceCode": "print(1)\n"}


def setUpModule() -> None:
    openapi_tools.ENVIRONMENT.ensure()


class Ingress(unittest.TestCase):
    servers: Servers
    document: Document

    @classmethod
    def setUpClass(cls) -> None:
        cls.servers = cls.enterClassContext(Servers(str(nats_server.ensure())))
        cls.document = Document.load()

    def generate(self, document: Document, server: Server, *options: str) -> tuple[int, str]:
        """Run Schemathesis against a server; return its exit code and output."""
        with tempfile.TemporaryDirectory(prefix="gavel-openapi-") as folder:
            path = Path(folder) / "openapi.json"
            path.write_text(json.dumps(document.content), encoding="utf-8")
            program = openapi_tools.ENVIRONMENT.path / "bin" / "schemathesis"
            command = [str(program), "--config-file", str(SCRIPTS / "lib" / "schemathesis.toml"), "run", str(path),
                       "--url", server.url, *options]
            env = {**os.environ, "PYTHONPATH": str(SCRIPTS)}
            done = subprocess.run(command, cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True, timeout=300, check=False)
        return done.returncode, done.stdout[-8000:]

    def assert_described(self, method: str, path: str, answer: Answer, status: int) -> None:
        """The answer has this status, and its headers and body match their description."""
        self.assertEqual(answer.status, status, answer)
        described = self.document.content["paths"][path][method.lower()]["responses"][str(status)]
        self.assertEqual(self.document.answer_problems(described, answer.headers, answer.body), [])

    def submit(self, server: Server, status: int, body: Any, **headers: str) -> Answer:
        """Post a body and check the answer."""
        sent = body if isinstance(body, bytes) else json.dumps(body).encode()
        answer = server.request("POST", POST, sent, {"content-type": "application/json", **headers})
        self.assert_described("POST", POST, answer, status)
        return answer


class GeneratedRequests(Ingress):
    def test_ingress_without_keys_conforms(self) -> None:
        code, output = self.generate(self.document, self.servers.ingress())
        self.assertEqual(code, 0, output)
        self.assertIn("5 selected / 5 total", output)

    def test_ingress_with_keys_conforms_and_refuses_requests_without_a_key(self) -> None:
        document = self.document
        for path, method in ((POST, "post"), (LANGUAGES, "get")):
            document = document.changed("paths", path, method, "security", value=[{"bearerKey": []}, {"headerKey": []}])
        options = ("--header", f"Authorization: Bearer {KEY}", "--max-examples", "30")
        code, output = self.generate(document, self.servers.ingress(INGRESS_KEYS=KEY), *options)
        self.assertEqual(code, 0, output)
        code, output = self.generate(document, self.servers.ingress(), "--include-path", LANGUAGES, *options)
        self.assertEqual(code, 1, "an ingress that needs no key passed as one that does")
        self.assertIn("API accepts requests without authentication", output)

    def test_changed_description_is_found(self) -> None:
        schemas = self.document.content["components"]["schemas"]
        answers = dict(self.document.content["paths"][POST]["post"]["responses"])
        del answers["400"]
        changed = self.document.changed("paths", POST, "post", "responses", value=answers)
        for keys, value in (
            (("SubmissionKind", "enum"), ["standard", "personalized", "exam"]),
            (("JudgeQuestionRequest", "properties", "languageId", "maximum"), 1000),
            (("Accepted", "required"), [*schemas["Accepted"]["required"], "position"]),
        ):
            changed = changed.changed("components", "schemas", *keys, value=value)
        code, output = self.generate(changed, self.servers.ingress(), "--include-path", POST, "--max-examples", "20")
        self.assertEqual(code, 1, output)
        for failure in ("Undocumented status code", "Schema-valid request rejected", "Schema-violating request accepted",
                        "Response violates schema"):
            self.assertIn(failure, output)


class DescribedAnswers(Ingress):
    """Each described answer occurs, and matches."""

    server: Server

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.server = cls.servers.ingress()

    def test_submissions_and_their_repeats_are_accepted(self) -> None:
        traceparent = f"00-{'1' * 32}-{'2' * 16}-01"
        answer = self.submit(self.server, 202, VALID, **{"x-request-id": "my-id", "traceparent": traceparent})
        self.assertEqual(answer.headers["x-request-id"], "my-id")
        self.submit(self.server, 202, {**VALID, "sourceCode": "print(2)\n"})
        self.submit(self.server, 202, {**VALID, "submissionId": "k97second", "submissionKind": "personalized"})

    def test_invalid_bodies_are_refused(self) -> None:
        server = self.servers.ingress(MAX_SOURCE_BYTES=100)
        invalid_id = {**VALID, "submissionId": "a.b"}
        for invalid in (b"", b"{", b"[]", b"\xff", {}, {**VALID, "languageId": 0, "extra": 1}, invalid_id):
            with self.subTest(invalid):
                self.assertIn(b'"issues"', self.submit(server, 400, invalid).body)
        self.assertIn(b'"maxBytes":100', self.submit(server, 400, {**VALID, "sourceCode": "x" * 101}).body)
        self.submit(server, 413, b" " * (1 << 20 | 1))

    def test_duplicate_keys_are_refused(self) -> None:
        twice = json.dumps(VALID)[:-1] + ', "languageId": 50}'
        self.assertIn(b"duplicate key", self.submit(self.server, 400, twice.encode()).body)

    def test_other_content_types_are_refused(self) -> None:
        self.submit(self.server, 415, VALID, **{"content-type": "text/plain"})

    def test_limits_in_bytes_are_those_of_the_description(self) -> None:
        properties = self.document.schema("JudgeQuestionRequest")["properties"]
        longest = {**VALID, "submissionId": "x" * self.document.schema("Id")["maxLength"],
                   "sourceCode": "x" * properties["sourceCode"]["maxLength"]}
        self.submit(self.server, 202, longest)
        for name in ("submissionId", "sourceCode"):
            self.submit(self.server, 400, {**longest, name: longest[name][1:] + "é"})

    def test_callers_without_a_key_are_refused(self) -> None:
        server = self.servers.ingress(INGRESS_KEYS=KEY)
        self.submit(server, 401, VALID, authorization="Bearer wrong")
        self.assert_described("GET", LANGUAGES, server.request("GET", LANGUAGES), 401)
        for headers in ({"authorization": f"Bearer {KEY}"}, {"X-Code-Exec-Key": KEY}):
            self.assert_described("GET", LANGUAGES, server.request("GET", LANGUAGES, headers=headers), 200)
            self.submit(server, 202, VALID, **headers)

    def test_rate_limit_answers_when_to_try_again(self) -> None:
        server = self.servers.ingress(RATE_LIMIT_PER_S=1, RATE_LIMIT_BURST=1)
        self.submit(server, 202, VALID)
        self.submit(server, 429, VALID)

    def test_unknown_paths_and_methods_are_refused(self) -> None:
        for name, method, path, status in (
            ("NotFound", "POST", f"{POST}/", 404), ("NotFound", "GET", "/", 404),
            ("MethodNotAllowed", "PUT", POST, 405), ("MethodNotAllowed", "DELETE", LANGUAGES, 405),
        ):
            with self.subTest(method=method, path=path):
                answer = self.server.request(method, path)
                self.assertEqual(answer.status, status)
                described = self.document.content["components"]["responses"][name]
                self.assertEqual(self.document.answer_problems(described, answer.headers, answer.body), [])

    def test_body_that_does_not_arrive_is_refused(self) -> None:
        for status, end in ((408, False), (400, True)):
            with self.subTest(status), socket.create_connection(("127.0.0.1", self.server.port), timeout=20) as connection:
                connection.sendall(b"POST /v1/judge-question HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
                                   b"content-length: 10\r\n\r\n{")
                if end:
                    connection.shutdown(socket.SHUT_WR)
                self.assert_described("POST", POST, read_answer(connection), status)

    def test_operation_routes_conform(self) -> None:
        for path in ("/healthz", "/readyz", "/metrics", LANGUAGES):
            with self.subTest(path):
                self.assert_described("GET", path, self.server.request("GET", path), 200)
                self.assertEqual(self.server.request("HEAD", path).status, 200)


class Outage(Ingress):
    def test_ingress_without_nats_answers_503(self) -> None:
        server = self.servers.ingress()
        self.servers.stop_nats()
        self.submit(server, 503, VALID)
        server.wait_until("/readyz", 503)
        self.assert_described("GET", "/readyz", server.request("GET", "/readyz"), 503)
        self.assert_described("GET", "/healthz", server.request("GET", "/healthz"), 200)


def read_answer(connection: socket.socket) -> Answer:
    """Read an answer from a connection."""
    response = http.client.HTTPResponse(connection)
    response.begin()
    return answer_of(response)


if __name__ == "__main__":
    unittest.main()
