"""docs/openapi.yaml itself: it is valid, its examples match its schemas, and what it says about settings is true."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import unittest
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lib import openapi, openapi_tools  # noqa: E402  (the scripts are no installed package)
from lib.openapi import Document  # noqa: E402
from lib.programs import program  # noqa: E402
from lib.project import ROOT  # noqa: E402


def setUpModule() -> None:
    openapi_tools.ENVIRONMENT.ensure()


class Description(unittest.TestCase):
    def setUp(self) -> None:
        self.document = Document.load()

    def test_document_is_valid(self) -> None:
        self.assertEqual(self.document.problems(), [])
        wrong = self.document.changed("paths", "/healthz", "get", "responses", value=[])
        self.assertNotEqual(wrong.problems(), [])

    def test_examples_match_their_schemas(self) -> None:
        self.assertEqual(self.document.example_problems(), [])
        self.assertGreater(len(list(self.document.examples())), 40)

    def test_wrong_example_is_found(self) -> None:
        wrong = self.document.changed("components", "schemas", "ResultStatus", "enum", value=["passed", "error"])
        found = wrong.example_problems()
        self.assertTrue(found)
        for problem in found:
            self.assertIn("'failed' is not one of", problem)

    def test_every_body_has_an_example(self) -> None:
        missing = [place for place, node in openapi.walk(self.document.content, "")
                   if place.endswith("/application/json") and not node.keys() & {"example", "examples"}]
        self.assertEqual(missing, [])

    def test_version_is_that_of_the_programs(self) -> None:
        manifest = (ROOT / "Cargo.toml").read_text(encoding="utf-8")
        version = re.search(r'^version = "(.+)"$', manifest, re.MULTILINE)
        assert version is not None
        self.assertEqual(self.document.content["info"]["version"], version[1])

    def test_settings_exist_and_have_the_defaults_that_are_named(self) -> None:
        text = re.sub(r"\s+", " ", openapi.PATH.read_text(encoding="utf-8"))
        defaults = settings()
        unknown = [name for name in re.findall(r"`([A-Z0-9]+(?:_[A-Z0-9]+)+)[=`]", text) if name not in defaults]
        self.assertEqual(unknown, [])
        named = re.findall(r"`([A-Z0-9_]+)` \(([\d,]+)(?: \w+)? by default\)", text)
        self.assertEqual(text.count("by default)"), len(named), "write defaults as `NAME` (NUMBER UNIT by default)")
        for name, number in named:
            self.assertEqual(number.replace(",", ""), defaults[name], name)

    def test_sample_questions_are_answers_of_an_app(self) -> None:
        questions = json.loads((ROOT / "samples" / "questions.json").read_text(encoding="utf-8"))
        schema = self.document.schema("TestCasesResponse")
        for question in questions:
            with self.subTest(question["question"]["_id"]):
                self.assertEqual(self.document.schema_problems(schema, question), [])
        present = set().union(*map(openapi.present_paths, questions))
        self.assertEqual(self.document.expected_paths(schema) - present, set())

    def test_paths_of_calls_are_those_of_the_client(self) -> None:
        source = (ROOT / "crates" / "convex" / "src" / "call.rs").read_text(encoding="utf-8")
        paths = re.search(r"pub const PATHS: .*?\];", source, re.DOTALL)
        assert paths is not None
        self.assertEqual(sorted(self.document.content["webhooks"]), sorted(re.findall(r'"(/.+?)"', paths[0])))


def settings() -> dict[str, str]:
    """The environment variables of the services with their defaults, as `gavel up` prints them."""
    env: dict[str, Any] = {"PATH": os.environ.get("PATH", "")}
    done = subprocess.run([program("gavel"), "up", "--settings"], env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          text=True, check=True)
    return dict(re.findall(r"^#?([A-Z0-9_]+)=(.*)$", done.stdout, re.MULTILINE))


if __name__ == "__main__":
    unittest.main()
