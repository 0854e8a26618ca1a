"""Adding up what the test runners report."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree


class Counts(NamedTuple):
    """Tests that passed and tests that failed; a run that broke counts as one failure."""

    passed: int
    failed: int

    def plus(self, other: Counts) -> Counts:
        """Both together."""
        return Counts(self.passed + other.passed, self.failed + other.failed)

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed} failed"


BROKEN = Counts(0, 1)


def with_exit_code(counts: Counts, code: int) -> Counts:
    """A runner that failed without naming a failed test failed all the same."""
    return counts.plus(BROKEN) if code != 0 and counts.failed == 0 else counts


def of_junit(path: Path) -> Counts:
    """What nextest wrote; nothing at all where it never came to running tests."""
    try:
        suites = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError):
        return Counts(0, 0)
    cases = list(suites.iter("testcase"))
    skipped = sum(1 for case in cases if case.find("skipped") is not None)
    failed = sum(1 for case in cases if case.find("failure") is not None or case.find("error") is not None)
    return Counts(len(cases) - failed - skipped, failed)


def of_libtest(output: str) -> Counts:
    """The sum of `test result: ok. 3 passed; 1 failed; …` over all crates."""
    results = re.findall(r"^test result: \w+\. (\d+) passed; (\d+) failed;", output, re.MULTILINE)
    return Counts(sum(int(passed) for passed, _ in results), sum(int(failed) for _, failed in results))


def of_unittest(output: str) -> Counts:
    """What Python's unittest says at its end: `Ran 9 tests in …` and `FAILED (failures=1, errors=2)`."""
    ran = sum(int(number) for number in re.findall(r"^Ran (\d+) tests? in", output, re.MULTILINE))
    end = re.findall(r"^(?:OK|FAILED)(?: \((.*)\))?$", output, re.MULTILINE)
    faults = dict(re.findall(r"(failures|errors|skipped|expected failures|unexpected successes)=(\d+)", end[-1] if end else ""))
    failed = sum(int(faults.get(kind, 0)) for kind in ("failures", "errors", "unexpected successes"))
    # An error in loading a module or in a class's set-up counts as no test that ran.
    return Counts(max(ran - failed - int(faults.get("skipped", 0)), 0), failed)
