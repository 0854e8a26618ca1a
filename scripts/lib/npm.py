"""Packages installed with npm."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from lib.project import Problem, info


def install(lock: Path, folder: Path, prefix: list[str]) -> None:
    """Install exactly the packages of a package-lock.json, which contains their digests, into a folder. They run no scripts."""
    info(f"installing {' '.join(locked(lock))} with npm")
    files = [str(lock.with_name(name)) for name in ("package.json", "package-lock.json")]
    command = [*prefix, "npm", "ci", "--prefix", str(folder), "--ignore-scripts", "--no-audit", "--no-fund"]
    for step in ([*prefix, "cp", *files, str(folder)], command):
        if subprocess.run(step, stdin=subprocess.DEVNULL, stdout=2, check=False).returncode != 0:
            raise Problem(f"`{' '.join(step)}` failed (see above): check the network and npm's registry setting")


def locked(lock: Path) -> list[str]:
    """The packages that a package-lock.json installs by request, as NAME@VERSION."""
    return [f"{name}@{version}" for name, version in json.loads(lock.read_text(encoding="utf-8"))["packages"][""]["dependencies"].items()]
