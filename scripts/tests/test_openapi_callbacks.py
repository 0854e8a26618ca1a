"""The calls of a real Gavel to a Convex app, and what it does after each answer, are as docs/openapi.yaml describes them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import subprocess
import sys
import time
import unittest
import urllib.request
from pathlib import Path
from typing import Any, Iterator

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lib import nats_server, openapi, openapi_tools  # noqa: E402  (the scripts are no installed package)
from lib.convex_app import NO_SUCH_QUESTION, ConvexApp  # noqa: E402
from lib.openapi import Document  # noqa: E402
from lib.programs import program  # noqa: E402
from lib.stack import Stack  # noqa: E402

C, PYTHON = 50, 71
TEST_CASES, RUNNING, RESULT = "/coding/testcases", "/coding/submission-running", "/coding/submission-result"
TOKEN = "a-token-of-the-app"
SECRETS = [bytes([number]) * 32 for number in (1, 2)]
# Time for a second call before there is a verdict.
SLOW = "import time\ntime.sleep(5)\nprint(1)\n"
# Longer than SLOW on a busy machine: a result that is sent later than that after a dropped running call is sent once.
LINGER_MS = 15_000
# The statuses that represent the ranges of the description.
STATUSES = {TEST_CASES: {"default": [302, 422, 429, 500, 503]},
            RUNNING: {"2XX": [204], "5XX": [502, 504, 520], "default": [302, 400, 404, 422]},
            RESULT: {"2XX": [204], "3XX": [302], "5XX": [500, 502, 503], "default": [400, 409, 413, 422]}}

# Submissions by id: kind, question, language, program.
VERDICTS = {
    "passed": ("standard", "sum", PYTHON, "print(sum(map(int, input().split())))"),
    "public": ("standard", "sum", PYTHON, "print(0)"),
    "hidden": ("standard", "maximum", PYTHON, "input()\nprint(max(0, *map(int, input().split())))"),
    "run-time-error": ("standard", "sum", PYTHON, "raise ValueError"),
    "compile-error": ("standard", "sum", C, "int main("),
    "time-limit": ("standard", "primes", PYTHON, "while True: pass"),
    "unknown-question": ("standard", NO_SUCH_QUESTION, PYTHON, ""),
    "mine-passed": ("personalized", "greet", PYTHON, "print(f'Hello, {input()}!')"),
    "mine-failed": ("personalized", "greet", PYTHON, "print('Hello!')"),
    "über": ("personalized", "greet", PYTHON, "print(f'Hello, {input()}!')"),
}
REJUDGED = "compile-error"


def setUpModule() -> None:
    openapi_tools.ENVIRONMENT.ensure()


class GavelUp(Stack):
    """`gavel up` that calls an app."""

    def __init__(self, app: ConvexApp, **settings: Any) -> None:
        super().__init__(Path(program("gavel")), str(nats_server.ensure()))
        self._settings = {"CONVEX_SITE_URL": f"{app.url}/", **{name: str(value) for name, value in settings.items()}}

    def __enter__(self) -> GavelUp:
        super().__enter__()
        return self

    def child_environment(self) -> dict[str, str]:
        return {**super().child_environment(), **self._settings}

    def submit(self, submission: str, kind: str, question: str, language: int, source: str) -> None:
        """Post a submission."""
        body = {"submissionId": submission, "questionId": question, "languageId": language, "sourceCode": source,
                "submissionKind": kind}
        self.request("/v1/judge-question", json.dumps(body).encode())

    def request(self, path: str, body: bytes | None = None) -> bytes:
        """Send a request to the ingress, a POST if it has a body; return the body of the answer."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        request = urllib.request.Request(self.ingress_url + path, body, {"content-type": "application/json"})
        with opener.open(request, timeout=20) as answer:
            return answer.read()

    def gavel(self, *arguments: str) -> str:
        """Run another gavel command; return its output."""
        return subprocess.run([program("gavel"), *arguments], env=self.client_environment(), stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, text=True, check=True).stdout


def answers(document: Document) -> Iterator[tuple[str, int, str]]:
    """The described answers to the webhooks: the path, a status, and what Gavel does then."""
    for path, ranges in STATUSES.items():
        for code, answer in document.content["webhooks"][path]["post"]["responses"].items():
            for status in ranges.get(code) or [int(code)]:
                yield path, status, document.resolve(answer)["x-gavel-then"]


def submission_of(path: str, status: int) -> str:
    """The id of the submission, and of its question, for which the app answers a path with a status."""
    return f"{path.rpartition('/')[2]}-{status}"


class Calls(unittest.TestCase):
    """All calls of one run of Gavel with every setting for calls, and all kinds of verdicts and answers."""

    app: ConvexApp
    document: Document
    dead: str
    languages: dict[str, Any]

    @classmethod
    def setUpClass(cls) -> None:
        cls.document = Document.load()
        cls.app = cls.enterClassContext(ConvexApp())
        secrets = ",".join(f"whsec_{base64.b64encode(secret).decode()}" for secret in SECRETS)
        gavel = cls.enterClassContext(GavelUp(cls.app, CONVEX_TOKEN=TOKEN, CONVEX_SIGNING_SECRETS=secrets, JUDGE_SLOTS=8,
                                              OTEL_EXPORTER_OTLP_ENDPOINT=cls.app.url, RUNNING_TIMEOUT_MS=4000,
                                              RUNNING_LINGER_MS=LINGER_MS))
        for submission, content in VERDICTS.items():
            gavel.submit(submission, *content)
        expected = dict.fromkeys(VERDICTS, 1)
        for path, status, then in answers(cls.document):
            about = submission_of(path, status)
            cls.app.plan(path, about, status)
            gavel.submit(about, "standard", about, PYTHON, SLOW if path == RUNNING else "print(1)")
            # One at a time: five failures in a row are an outage, in which a running call is not sent again.
            cls.app.wait_for_calls(path, about, 1)
            is_repeated = then == "resend-result" or (then == "retry" and path == RESULT)
            expected[about] = 2 if is_repeated else 1
        for about, count in expected.items():
            cls.app.wait_for_calls("submission-result", about, count)
        gavel.gavel("rejudge", REJUDGED)
        cls.app.wait_for_calls("submission-result", REJUDGED, 2)
        cls.dead = cls.dead_letters(gavel, sum(then == "dead-letter" for _, _, then in answers(cls.document)))
        cls.languages = json.loads(gavel.request("/v1/languages"))

    @staticmethod
    def dead_letters(gavel: GavelUp, count: int) -> str:
        """The dead letters, once there are this many or after 20 s: they are stored shortly after the answers."""
        deadline = time.monotonic() + 20
        while True:
            listed = gavel.gavel("dead", "list", "--json")
            if listed.count("\n") >= count or time.monotonic() >= deadline:
                return listed
            time.sleep(0.2)

    def problems(self, document: Document) -> list[str]:
        """Where the calls do not match a description."""
        found = []
        for call in self.app.calls():
            if not call.id:  # a probe
                continue
            operation = document.content["webhooks"].get(call.path, {}).get(call.method.lower())
            problems = ["is not described"]
            if operation is not None:
                problems = document.call_problems(operation, call.headers, call.body)
            found += [f"{call.method} {call.path} about {call.id}: {problem}" for problem in problems]
        return found

    def result(self, submission: str) -> dict[str, Any]:
        """The first result of a submission."""
        return self.app.calls("submission-result", submission)[0].value

    def test_all_calls_match_their_webhooks(self) -> None:
        self.assertEqual(self.problems(self.document), [])

    def test_all_webhooks_are_called(self) -> None:
        self.assertEqual({call.path for call in self.app.calls()}, set(self.document.content["webhooks"]))

    def test_all_properties_and_statuses_occur(self) -> None:
        for name, path in (("TestCasesRequest", "testcases"), ("RunningRequest", "submission-running"),
                           ("ResultRequest", "submission-result")):
            with self.subTest(name):
                present = set().union(*(openapi.present_paths(call.value) for call in self.app.calls(path)))
                self.assertEqual(present, self.document.expected_paths(self.document.schema(name)))
        statuses = {call.value["status"] for call in self.app.calls("submission-result")}
        self.assertEqual(statuses, set(self.document.schema("ResultStatus")["enum"]))

    def test_all_headers_occur(self) -> None:
        for path in STATUSES:
            parameters = self.document.content["webhooks"][path]["post"]["parameters"]
            for name in (self.document.resolve(each)["name"] for each in parameters):
                self.assertTrue(any(name in call.headers for call in self.app.calls(path)), f"{path} never has {name}")

    def test_kinds_have_the_same_description(self) -> None:
        for path in STATUSES:
            webhooks = self.document.content["webhooks"]
            self.assertEqual(webhooks[path], webhooks[path.replace("/coding/", "/coding/personalized-")])

    def test_calls_carry_the_token_and_valid_signatures(self) -> None:
        for call in self.app.calls():
            self.assertEqual(call.headers["authorization"], f"Bearer {TOKEN}")
            signed = f"{call.headers['webhook-id']}.{call.headers['webhook-timestamp']}.".encode() + call.body
            expected = [base64.b64encode(hmac.digest(secret, signed, hashlib.sha256)).decode() for secret in SECRETS]
            self.assertEqual(call.headers["webhook-signature"], " ".join(f"v1,{each}" for each in expected))

    def test_verdicts_are_as_described(self) -> None:
        public, hidden = self.result("public")["firstFailure"], self.result("hidden")["firstFailure"]
        self.assertEqual(public.keys(), self.document.schema("FirstFailure")["properties"].keys())
        self.assertEqual(hidden.keys(), {"actualOutput", "errorMessage"})
        self.assertEqual([public["errorMessage"], hidden["errorMessage"]], ["Wrong answer"] * 2)
        self.assertEqual(self.result("time-limit")["firstFailure"]["errorMessage"], "Time limit exceeded")
        self.assertIn("ValueError", self.result("run-time-error")["stderr"])
        self.assertIn("error", self.result("compile-error")["compileOutput"])
        statuses = {each: self.result(each)["status"] for each in VERDICTS}
        self.assertEqual([each for each, status in statuses.items() if status == "passed"], ["passed", "mine-passed", "über"])
        self.assertEqual([each for each, status in statuses.items() if status == "error"], ["unknown-question"])

    def test_webhook_ids_name_kind_and_generation(self) -> None:
        def ids(path: str, submission: str) -> list[str]:
            # On a busy machine a call may time out, and come again with the same id.
            return list(dict.fromkeys(call.headers["webhook-id"] for call in self.app.calls(path, submission)))

        self.assertEqual(ids("submission-result", REJUDGED), [f"result-{REJUDGED}", f"result-{REJUDGED}~2e2"])
        self.assertEqual(ids("submission-running", REJUDGED), [f"running-{REJUDGED}", f"running-{REJUDGED}~2e2"])
        self.assertEqual(ids("submission-result", "über"), ["result-~c3~bcber"])

    def test_gavel_does_what_is_described_after_each_answer(self) -> None:
        for path, status, then in answers(self.document):
            with self.subTest(path=path, status=status, then=then):
                about = submission_of(path, status)
                sent = [call.headers["webhook-id"] for call in self.app.calls(path, about)]
                self.assertEqual(len(sent), 2 if then == "retry" else 1)
                # Fetches have separate ids; a callback keeps its id.
                self.assertEqual(len(set(sent)), len(sent) if path == TEST_CASES else 1)
                results = [call.headers["webhook-id"] for call in self.app.calls(RESULT, about)]
                if then == "resend-result":
                    self.assertEqual(results, [f"result-{about}", f"last-word-{about}"])
                else:
                    # On a machine that stands still for seconds, a running call may outlive its claim.
                    expected = {f"result-{about}"}
                    self.assertIn(set(results), [expected, expected | {f"last-word-{about}"}] if path == RUNNING else [expected])
                self.assertEqual(self.result(about)["status"], "error" if then == "error" else "passed")
                self.assertEqual(f'"{about}"' in self.dead, then == "dead-letter")

    def test_languages_match_their_description(self) -> None:
        schema = self.document.schema("LanguagesResponse")
        self.assertEqual(self.document.schema_problems(schema, self.languages), [])
        self.assertEqual(openapi.present_paths(self.languages), self.document.expected_paths(schema))
        self.assertIn(PYTHON, [each["id"] for each in self.languages["languages"]])

    def test_changed_description_is_found(self) -> None:
        schemas = ("components", "schemas")
        result = self.document.schema("ResultRequest")
        without_duration = {name: each for name, each in result["properties"].items() if name != "durationMs"}
        for keys, value, expected in (
            ((*schemas, "ResultRequest", "properties"), without_duration, "'durationMs' was unexpected"),
            ((*schemas, "ResultRequest", "properties", "passedCount", "type"), "string", "is not of type 'string'"),
            ((*schemas, "RunningRequest", "required"), ["submissionId", "startedAt"], "'startedAt' is a required property"),
            ((*schemas, "ResultStatus", "enum"), ["passed", "failed"], "'error' is not one of"),
            (("components", "parameters", "traceparent", "schema", "pattern"), "^01-", "does not match '^01-'"),
            (("webhooks", RESULT, "post", "parameters"), [], "header webhook-id is not described"),
            (("webhooks", RESULT), {}, f"POST {RESULT} about passed: is not described"),
        ):
            with self.subTest(expected):
                problems = self.problems(self.document.changed(*keys, value=value))
                self.assertTrue(any(expected in problem for problem in problems), problems[:3])


class CallsWithoutSettings(unittest.TestCase):
    """The calls of Gavel without credentials to an app that keeps the order itself."""

    app: ConvexApp
    document: Document
    gavel: GavelUp

    @classmethod
    def setUpClass(cls) -> None:
        cls.document = Document.load()
        cls.app = cls.enterClassContext(ConvexApp())
        cls.gavel = cls.enterClassContext(GavelUp(cls.app, CONVEX_ORDER="guarded"))

    def test_calls_have_an_id_and_no_credentials(self) -> None:
        for kind in ("standard", "personalized"):
            self.gavel.submit(kind, kind, "any", PYTHON, SLOW)
            self.app.wait_for_calls("submission-result", kind, 1)
        calls = self.app.calls()
        self.assertEqual({call.path for call in calls}, set(self.document.content["webhooks"]))
        for call in calls:
            operation = self.document.content["webhooks"][call.path]["post"]
            self.assertEqual(self.document.call_problems(operation, call.headers, call.body), [])
            optional = {"authorization", "webhook-timestamp", "webhook-signature", "traceparent"}
            self.assertEqual(call.headers.keys() & optional, set())

    def test_guarded_order_repeats_running_and_sends_the_result_once(self) -> None:
        self.app.plan(RUNNING, "guarded", 502)
        self.gavel.submit("guarded", "standard", "any", PYTHON, SLOW)
        self.app.wait_for_calls("submission-result", "guarded", 1)
        ids = [call.headers["webhook-id"] for call in self.app.calls("", "guarded")]
        self.assertEqual(ids, ["running-guarded", "running-guarded", "result-guarded"])


if __name__ == "__main__":
    unittest.main()
