"""Advisories: a finding fails, a download that fails is printed with the date of the last check."""

from __future__ import annotations

import contextlib
import datetime
import io
import json
import os
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lib import advisories  # noqa: E402  (the scripts are no installed package)

TODAY = datetime.date(2026, 3, 11)
CARGO = """#!/bin/sh
case "$*" in *" fetch "*) exit "$FETCH";; *" check "*) exit "$CHECK";; esac
"""
NPM = """#!/bin/sh
echo "a warning" >&2
case "$PWD" in *convex) echo "$AUDIT";; *) echo "${AUDIT_OTHERS-$AUDIT}";; esac
exit 1
"""
NOTHING = {"FETCH": "0", "CHECK": "0", "AUDIT": '{"vulnerabilities": {}}'}


class Advisories(unittest.TestCase):
    def setUp(self) -> None:
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        folder = Path(holder.name)
        self.record = folder / "advisories.json"
        self.record.write_text('{"Rust": "2026-03-01", "npm": null}', encoding="utf-8")
        for name, text in (("cargo", CARGO), ("npm", NPM)):
            (folder / name).write_text(text, encoding="utf-8")
            (folder / name).chmod(0o755)
        path = os.pathsep.join([str(folder), os.environ["PATH"]])
        for patch in (mock.patch.object(advisories, "environment", lambda: {**os.environ, "PATH": path}),
                      mock.patch.dict(os.environ, {"PATH": path}), mock.patch.object(advisories, "RECORD", self.record)):
            patch.start()
            self.addCleanup(patch.stop)

    def check(self, **variables: str) -> tuple[bool, str, dict[str, str]]:
        """The result, what is printed, and the record."""
        output = io.StringIO()
        with mock.patch.dict(os.environ, {**NOTHING, **variables}), contextlib.redirect_stdout(output), \
                contextlib.redirect_stderr(io.StringIO()):
            is_clean = advisories.check(TODAY, record=True)
        return is_clean, output.getvalue(), json.loads(self.record.read_text(encoding="utf-8"))

    def test_check_without_a_finding_is_recorded(self) -> None:
        self.assertEqual(self.check(), (True, "", {"Rust": "2026-03-11", "npm": "2026-03-11"}))

    def test_finding_fails_and_is_not_recorded(self) -> None:
        for variables in ({"CHECK": "1"}, {"AUDIT": '{"vulnerabilities": {"a": {"severity": "critical"}}}'}):
            self.assertFalse(self.check(**variables)[0], variables)
        self.assertTrue(self.check(AUDIT='{"vulnerabilities": {"a": {"severity": "low"}}}')[0])

    def test_finding_fails_if_another_folder_cannot_be_checked(self) -> None:
        found = '{"vulnerabilities": {"a": {"severity": "critical"}}}'
        self.assertFalse(self.check(AUDIT=found, AUDIT_OTHERS="")[0])
        self.assertFalse(self.check(AUDIT="", AUDIT_OTHERS=found)[0])

    def test_command_that_is_missing_is_printed(self) -> None:
        with mock.patch.object(advisories.subprocess, "run", side_effect=FileNotFoundError(2, "No such file")):
            is_clean, output, _ = self.check()
        self.assertTrue(is_clean)
        self.assertIn("NOT checked: cannot run cargo: No such file", output)

    def test_download_that_fails_is_printed_with_the_date_of_the_last_check(self) -> None:
        is_clean, output, record = self.check(FETCH="1", AUDIT='{"error": {"summary": "unreachable"}}')
        self.assertTrue(is_clean)
        self.assertEqual(record, {"Rust": "2026-03-01", "npm": None})
        first, second = output.splitlines()
        self.assertRegex(first, "^the advisories of Rust packages were NOT checked: .* the last check was on 2026-03-01, 10 days ago$")
        self.assertRegex(second, "^the advisories of npm packages were NOT checked: .* they have never been checked$")


if __name__ == "__main__":
    unittest.main()
