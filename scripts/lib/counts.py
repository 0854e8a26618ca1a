"""The sum of the counts that the test runners report."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree


class Counts(NamedTuple):
    """Numbers of passed and failed tests; a run that did not complete counts as one failure."""

    passed: int
    failed: int

    def plus(self, other: Counts) -> Counts:
        """The sum of both."""
        return Counts(self.passed + other.passed, self.failed + other.failed)

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed} failed"


BROKEN = Counts(0, 1)


def with_exit_code(counts: Counts, code: int) -> Counts:
    """The counts, plus one failure if the runner failed without reporting a failed test."""
    return counts.plus(BROKEN) if code != 0 and counts.failed == 0 else counts


def of_junit(path: Path) -> Counts:
    """The counts in a JUnit report, as nextest and vitest write it; zero if there is no report."""
    try:
        suites = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError):
        return Counts(0, 0)
    cases = list(suites.iter("testcase"))
    skipped = sum(1 for case in cases if case.find("skipped") is not None)
    failed = sum(1 for case in cases if case.find("failure") is not None or case.find("error") is not None)
    return Counts(len(cases) - failed - skipped, failed)


def of_libtest(output: str) -> Counts:
    """The sum of the lines `test result: ok. 3 passed; 1 failed; …` of all crates."""
    results = re.findall(r"^test result: \w+\. (\d+) passed; (\d+) failed;", output, re.MULTILINE)
    return Counts(sum(int(passed) for passed, _ in results), sum(int(failed) for _, failed in results))


def of_libtest_programs(output: str, begin: str, end: str) -> Counts:
    """The sum of the counts of several test programs.

    Each has a line with `begin` before it, and `end` follows the last. A program without a result, and an output without an
    end, count as one failure.
    """
    results = len(re.findall(r"^test result: ", output, re.MULTILINE))
    missing = len(re.findall(f"^{re.escape(begin)}", output, re.MULTILINE)) - results
    if end not in output.splitlines():
        missing = max(missing, 1)
    return of_libtest(output).plus(Counts(0, missing))


def of_unittest(output: str) -> Counts:
    """The counts in the last lines of Python's unittest: `Ran 9 tests in …` and `FAILED (failures=1, errors=2)`."""
    ran = sum(int(number) for number in re.findall(r"^Ran (\d+) tests? in", output, re.MULTILINE))
    end = re.findall(r"^(?:OK|FAILED)(?: \((.*)\))?$", output, re.MULTILINE)
    faults = dict(re.findall(r"(failures|errors|skipped|expected failures|unexpected successes)=(\d+)", end[-1] if end else ""))
    failed = sum(int(faults.get(kind, 0)) for kind in ("failures", "errors", "unexpected successes"))
    # unittest does not count an error in loading a module or in a class's set-up as a test.
    return Counts(max(ran - failed - int(faults.get("skipped", 0)), 0), failed)
