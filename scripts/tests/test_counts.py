"""The counts in each runner's report, and of runs that did not complete."""

from __future__ import annotations

import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lib import counts  # noqa: E402  (the scripts are no installed package)
from lib.counts import Counts  # noqa: E402

JUNIT = """<testsuites name="nextest-run" tests="3" failures="1" errors="1">
<testsuite name="a"><testcase name="one"/><testcase name="two"><failure type="test failure">no</failure></testcase></testsuite>
<testsuite name="b"><testcase name="three"><error type="test timeout"/></testcase></testsuite></testsuites>"""


class Reports(unittest.TestCase):
    def test_nextest(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            report = Path(folder) / "junit.xml"
            self.assertEqual(counts.of_junit(report), Counts(0, 0))
            report.write_text(JUNIT, encoding="utf-8")
            self.assertEqual(counts.of_junit(report), Counts(1, 2))

    def test_doc_tests_of_several_crates(self) -> None:
        output = ("test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s\n"
                  "test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s\n")
        self.assertEqual(counts.of_libtest(output), Counts(5, 1))

    def test_programs_in_a_machine(self) -> None:
        one = "== run one\ntest result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s\n"
        stopped = "== run two\ntest a ... ok\n"
        rows = [(one + "== end\n", Counts(3, 0)), (one, Counts(3, 1)), (one + stopped, Counts(3, 1)),
                (one + stopped + "== end\n", Counts(3, 1)), ("", Counts(0, 1)), ("== end\n", Counts(0, 0))]
        for output, expected in rows:
            self.assertEqual(counts.of_libtest_programs(output, "== run ", "== end"), expected, output)

    def test_unittest(self) -> None:
        self.assertEqual(counts.of_unittest("Ran 9 tests in 2.0s\n\nOK\n"), Counts(9, 0))
        self.assertEqual(counts.of_unittest("Ran 9 tests in 2.0s\n\nOK (skipped=2)\n"), Counts(7, 0))
        self.assertEqual(counts.of_unittest("Ran 9 tests in 2.0s\n\nFAILED (failures=1, errors=2)\n"), Counts(6, 3))

    def test_incomplete_run_is_a_failure(self) -> None:
        self.assertEqual(counts.with_exit_code(Counts(0, 0), 101), Counts(0, 1))
        self.assertEqual(counts.with_exit_code(Counts(4, 2), 1), Counts(4, 2))
        self.assertEqual(counts.with_exit_code(Counts(4, 0), 0), Counts(4, 0))

    def test_the_last_line(self) -> None:
        self.assertEqual(str(Counts(3, 0).plus(Counts(1, 2))), "4 passed, 2 failed")


if __name__ == "__main__":
    unittest.main()
