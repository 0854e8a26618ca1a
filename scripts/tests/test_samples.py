"""The comparison with the expected verdict, and how verdicts are printed."""

from __future__ import annotations

import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lib import samples  # noqa: E402  (the scripts are no installed package)
from lib.board import cut, pad, width  # noqa: E402

RESULT = {"status": "failed", "passedCount": 2, "totalCount": 5, "firstFailureIndex": 2,
          "firstFailure": {"actualOutput": "4", "errorMessage": "Traceback:\nZeroDivisionError: division by zero"}}


class Verdicts(unittest.TestCase):
    def test_match_has_no_differences(self) -> None:
        for expect in ({"status": "failed"}, {"status": "failed", "firstFailureIndex": 2, "passedCount": 2},
                       {"status": "failed", "messageContains": "ZeroDivision"}):
            self.assertEqual(samples.differences(expect, RESULT), [])

    def test_each_difference_is_found(self) -> None:
        for expect in ({"status": "passed"}, {"status": "failed", "passedCount": 3}, {"status": "failed", "firstFailureIndex": 1},
                       {"status": "failed", "message": "Traceback:"}, {"status": "failed", "messageContains": "Overflow"}):
            self.assertEqual(len(samples.differences(expect, RESULT)), 1, expect)

    def test_missing_field_is_a_difference(self) -> None:
        self.assertEqual(len(samples.differences({"status": "error", "message": "x", "passedCount": 0}, {"status": "error"})), 2)

    def test_matching_line_of_the_message_is_shown(self) -> None:
        self.assertEqual(samples.describe_result(RESULT, "ZeroDivision"), "failed, test 3: ZeroDivisionError: division…")
        self.assertEqual(samples.describe_result({"status": "passed"}), "passed")
        self.assertEqual(samples.describe_result({"status": "error", "firstFailure": {"errorMessage": "no test cases"}}), "error: no test cases")


class Columns(unittest.TestCase):
    def test_wide_and_combining_characters(self) -> None:
        self.assertEqual([width(text) for text in ("abc", "誤り", "e\u0301", "…")], [3, 4, 1, 1])
        self.assertEqual(width(pad("誤り", 10)), 10)

    def test_cut_fits(self) -> None:
        self.assertEqual(cut("short", 10), "short")
        for columns in range(1, 8):
            self.assertLessEqual(width(cut("誤り in main.c", columns)), columns)


if __name__ == "__main__":
    unittest.main()
