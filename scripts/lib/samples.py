"""The sample programs, their expected verdicts, and how verdicts are printed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from lib.project import ROOT, Problem

SAMPLES = ROOT / "samples" / "demo.json"
EXPECTABLE = {"status", "message", "messageContains", "firstFailureIndex", "passedCount"}
# Names of Judge0's language ids.
LANGUAGES = {50: "C", 52: "C++", 54: "C++", 62: "Java", 63: "JavaScript", 71: "Python"}


class Sample(NamedTuple):
    """One program of the demo."""

    title: str
    file: Path
    language_id: int
    question: str
    kind: str
    expect: dict[str, Any]

    @property
    def language(self) -> str:
        return LANGUAGES.get(self.language_id, str(self.language_id))


def load(listing: Path) -> list[Sample]:
    """Read the list of samples; an invalid entry is a Problem that names it."""
    try:
        entries = json.loads(listing.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Problem(f"cannot read the samples in {listing}: {error}") from error
    samples = [parse(entry, listing) for entry in entries]
    if not samples or len({sample.title for sample in samples}) < len(samples):
        raise Problem(f"{listing} needs at least one entry, and a different title for each")
    return samples


def parse(entry: dict[str, Any], listing: Path) -> Sample:
    """One entry of the list."""
    title = str(entry.get("title", "?"))
    try:
        sample = Sample(title, locate(entry["file"], listing.parent), int(entry["language"]), entry["question"],
                        entry.get("kind", "standard"), entry["expect"])
    except KeyError as missing:
        raise Problem(f"{listing}: {title}: {missing} is missing") from missing
    unknown = set(sample.expect) - EXPECTABLE
    if unknown or "status" not in sample.expect:
        raise Problem(f"{listing}: {title}: `expect` needs a status and may have only {', '.join(sorted(EXPECTABLE))}")
    return sample


def locate(file: str, folder: Path) -> Path:
    """The path of a sample's file, which is relative to the list's directory."""
    if not (folder / file).is_file():
        raise Problem(f"the list of samples names {file}, which does not exist in {folder}")
    return folder / file


def differences(expect: dict[str, Any], result: dict[str, Any]) -> list[str]:
    """The differences between a result callback's body and the expectation; empty if it matches."""
    message = failure_message(result)
    actual = {"status": result.get("status"), "firstFailureIndex": result.get("firstFailureIndex"),
              "passedCount": result.get("passedCount"), "message": message}
    wrong = [f"{name} is {json.dumps(actual[name])}, not {json.dumps(value)}"
             for name, value in expect.items() if name in actual and actual[name] != value]
    part = expect.get("messageContains")
    if part is not None and part not in (message or ""):
        wrong.append(f"message is {json.dumps(message)}, which does not contain {json.dumps(part)}")
    return wrong


def failure_message(result: dict[str, Any]) -> str | None:
    """The message of the first failure, if the result has one."""
    return (result.get("firstFailure") or {}).get("errorMessage")


def describe_expected(expect: dict[str, Any]) -> str:
    """An expectation as a cell of the table."""
    part = expect.get("messageContains")
    message = expect.get("message") if part is None else f"…{part}…"
    return describe(expect["status"], expect.get("firstFailureIndex"), message)


def describe_result(result: dict[str, Any], part: str = "") -> str:
    """A result as a cell of the table, with the line of its message that contains `part`."""
    message = failure_message(result)
    line = next((each for each in (message or "").splitlines() if part in each), message)
    status = str(result.get("status"))
    return describe(status, result.get("firstFailureIndex") if status == "failed" else None, line)


def describe(status: str, failed_at: int | None, message: str | None) -> str:
    """`passed`, or `failed, test 3: Wrong answer`; tests are numbered from 1."""
    test = "" if failed_at is None else f", test {failed_at + 1}"
    reason = f": {clip(message, 28)}" if message else ""
    return f"{status}{test}{reason}"


def clip(text: str, limit: int) -> str:
    """The first line that is not blank, cut to `limit` characters."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    first = lines[0] if lines else ""
    return first if len(first) <= limit else first[: limit - 1] + "…"
