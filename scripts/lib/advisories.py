"""Known vulnerabilities of dependencies: of Rust crates from RustSec, of npm packages from npm's registry."""

from __future__ import annotations

import datetime
import json
import subprocess
from pathlib import Path
from typing import Callable, Optional

from lib.project import ROOT, environment, info

# When each kind was last checked without a finding; null: never.
RECORD = ROOT / ".ci" / "advisories.json"
LOCKS = [ROOT / "convex", *sorted((ROOT / "scripts" / "toolchains" / "npm").iterdir())]
DOWNLOAD_SECONDS = 120
# Less severe ones are printed only.
FAILING = ("high", "critical")


class Unchecked(Exception):
    """The advisories cannot be downloaded; the text is the reason."""


def run(command: list[str], folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run a command that may use the network."""
    try:
        return subprocess.run(command, cwd=folder, env=environment(), stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=DOWNLOAD_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise Unchecked(f"`{' '.join(command)}` did not end within {DOWNLOAD_SECONDS} s") from None
    except OSError as error:
        raise Unchecked(f"cannot run {command[0]}: {error.strerror}") from None


def rust() -> bool:
    """Whether no crate has an advisory."""
    fetched = run(["cargo", "deny", "--log-level", "error", "fetch", "db"])
    if fetched.returncode != 0:
        lines = fetched.stderr.strip().splitlines() or ["no output"]
        raise Unchecked(f"cargo deny cannot download the RustSec database ({lines[-1].strip()})")
    checked = run(["cargo", "deny", "check", "--disable-fetch", "advisories"])
    info(checked.stdout + checked.stderr)
    return checked.returncode == 0


def npm() -> bool:
    """Whether no package of a lock file has a severe advisory."""
    is_clean, reasons = True, []
    for folder in LOCKS:
        try:
            is_clean &= audit(folder)
        except Unchecked as reason:
            reasons.append(str(reason))
    if is_clean and reasons:
        raise Unchecked("; ".join(reasons))
    return is_clean


def audit(folder: Path) -> bool:
    """Whether no package of this folder's lock file has a severe advisory."""
    output = run(["npm", "audit", "--json", "--package-lock-only"], folder).stdout
    try:
        found = json.loads(output)["vulnerabilities"]
    except (ValueError, KeyError, TypeError):
        raise Unchecked(f"npm's registry does not answer an audit of {folder.relative_to(ROOT)}") from None
    for name, package in found.items():
        info(f"{folder.relative_to(ROOT)}: {name}: {package['severity']}")
    return not any(package["severity"] in FAILING for package in found.values())


CHECKS: dict[str, Callable[[], bool]] = {"Rust": rust, "npm": npm}


def recorded() -> dict[str, Optional[str]]:
    """The date of the last check of each kind."""
    return json.loads(RECORD.read_text(encoding="utf-8"))


def check(today: datetime.date, record: bool) -> bool:
    """Check all kinds, and print those that cannot be checked. Return whether nothing was found. With `record`, record today for
    each kind without a finding."""
    dates, is_clean = recorded(), True
    for kind, find in CHECKS.items():
        try:
            if find():
                dates[kind] = today.isoformat()
            else:
                is_clean = False
        except Unchecked as reason:
            print(f"the advisories of {kind} packages were NOT checked: {reason}; {since(dates[kind], today)}")
    if record:
        RECORD.write_text(json.dumps(dates, indent=2) + "\n", encoding="utf-8")
    return is_clean


def since(date: Optional[str], today: datetime.date) -> str:
    """When the last check was, for people."""
    if date is None:
        return "they have never been checked"
    return f"the last check was on {date}, {(today - datetime.date.fromisoformat(date)).days} days ago"
