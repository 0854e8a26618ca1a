"""What convex/ and the pages of the console need: Node.js, packages from npm, and a browser for their tests."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any, Optional

from lib import debian
from lib.project import ROOT, Problem, environment, find, first_line_of, info, parse_version

PACKAGE = ROOT / "convex"
CONSOLE = ROOT / "crates" / "console" / "web"
# The same as `engines` in convex/package.json.
MINIMUM = (20, 19, 0)


def node() -> Optional[str]:
    """The path of a Node.js of at least MINIMUM with npm; None if there is none."""
    found = find("node")
    if found is None or parse_version(first_line_of([found, "--version"])) < MINIMUM or find("npm") is None:
        return None
    return found


def chromium() -> Optional[str]:
    """The path of the browser: CHROMIUM, then Debian's; None if there is none."""
    named = os.environ.get("CHROMIUM") or "/usr/bin/chromium"
    return named if Path(named).exists() else None


def ensure() -> None:
    """Install Node.js and the packages of both package-lock.json, unless they are installed."""
    if node() is None:
        install_node()
    for folder in (PACKAGE, CONSOLE):
        if not has_packages(folder):
            install_packages(folder)


def ensure_browser() -> None:
    """Install Debian's Chromium unless a browser is installed."""
    if chromium() is None:
        if os.environ.get("CHROMIUM"):
            raise Problem(f"CHROMIUM={os.environ['CHROMIUM']} does not exist: unset CHROMIUM to use Debian's")
        debian.install(["chromium"])


def install_node() -> None:
    """Install Debian's Node.js if it is new enough."""
    wanted = ".".join(map(str, MINIMUM[:2]))
    by_hand = f"install Node.js {wanted} or later from https://nodejs.org/en/download, then run this again"
    present = find("node")
    version = parse_version(first_line_of([present, "--version"])) if present else ()
    if version < MINIMUM:
        offered = parse_version(debian.candidate("nodejs"))
        if offered < MINIMUM:
            has = f"the one on PATH is {dotted(version)}" if present else "none is installed"
            raise Problem(f"convex/ needs Node.js {wanted} or later: {has}, and this system's package is "
                          f"{dotted(offered)}: {by_hand}")
        debian.install(["nodejs", "npm"])
    else:
        debian.install(["npm"])
    if node() is None:
        raise Problem(f"convex/ needs Node.js {wanted} or later, and {find('node')} on PATH is older: {by_hand}")


def dotted(version: tuple[int, ...]) -> str:
    """A version for people."""
    return ".".join(map(str, version)) or "missing"


def has_packages(folder: Path) -> bool:
    """Whether node_modules has what package-lock.json names, by the list that npm writes there."""
    try:
        wanted = locked(folder / "package-lock.json")
        installed = locked(folder / "node_modules" / ".package-lock.json")
    except (OSError, ValueError, KeyError):
        return False
    # Optional packages may be for another platform.
    missing = (package for path, package in wanted.items() if path not in installed and not package.get("optional"))
    return not any(missing) and all(identity(package) == identity(wanted.get(path, {})) for path, package in installed.items())


def locked(path: Path) -> dict[str, dict[str, Any]]:
    """The packages in a lock file by their path, without the project itself."""
    packages = json.loads(path.read_text(encoding="utf-8"))["packages"]
    return {path: package for path, package in packages.items() if path}


def identity(package: dict[str, Any]) -> tuple[Optional[str], Optional[str]]:
    """The version of a package and the digest of its content."""
    return package.get("version"), package.get("integrity")


def install_packages(folder: Path) -> None:
    """Install exactly the packages of the lock file; they run no scripts."""
    name = folder.relative_to(ROOT)
    info(f"installing the npm packages of {name}/ (once, and after each change of {name}/package-lock.json)")
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    done = subprocess.run(command, cwd=folder, env=environment(), stdin=subprocess.DEVNULL, stdout=2, check=False)
    if done.returncode != 0:
        raise Problem(f"`{' '.join(command)}` failed in {name}/ (see above): check the network and npm's registry")
