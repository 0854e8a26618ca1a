"""Paths, output and errors that all scripts share."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Callable

ROOT = Path(__file__).resolve().parent.parent.parent
TOOLS = ROOT / ".tools"


class Problem(Exception):
    """An error that the user can fix; the text says how."""


def info(text: str) -> None:
    """Print progress to stderr, so that stdout contains only the result."""
    print(text, file=sys.stderr, flush=True)


def environment() -> dict[str, str]:
    """The environment for child processes, with .tools/bin and rustup's directory on PATH.

    .tools/bin comes first: a tool is installed there only if the one on PATH is missing or does not fit. rustup's directory
    comes last: a shell that was opened before rustup was installed lacks it.
    """
    home = Path(os.environ.get("CARGO_HOME") or Path.home() / ".cargo")
    path = os.pathsep.join([str(TOOLS / "bin"), os.environ.get("PATH", os.defpath), str(home / "bin")])
    return {**os.environ, "PATH": path}


def find(program: str) -> str | None:
    """The path of a program, as child processes would find it."""
    return shutil.which(program, path=environment()["PATH"])


def cargo() -> str:
    """The path of cargo; a Problem if it is not installed."""
    found = find("cargo")
    if found is None:
        raise Problem("cargo is not installed: install Rust with rustup (https://rustup.rs), then run this again")
    return found


def first_line_of(command: list[str]) -> str:
    """The first line that a command prints; empty if it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL,
                              timeout=30, env=environment(), check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    lines = done.stdout.splitlines()
    return lines[0] if done.returncode == 0 and lines else ""


def parse_version(line: str) -> tuple[int, ...]:
    """The version in a line such as `nats-server: v2.15.1`; empty if there is none."""
    match = re.search(r"(\d+)\.(\d+)\.(\d+)", line)
    return tuple(int(part) for part in match.groups()) if match else ()


def run_main(main: Callable[[], int]) -> None:
    """Run a script's main. A Problem prints one line and exits 1; Ctrl-C exits 130."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")
    try:
        code = main()
    except Problem as problem:
        info(f"{Path(sys.argv[0]).name}: {problem}")
        code = 1
    except KeyboardInterrupt:
        info("")
        code = 130
    except BrokenPipeError:
        sys.stderr.close()
        code = 1
    sys.exit(code)
