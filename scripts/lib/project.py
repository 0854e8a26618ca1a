"""Where this project lies, how its scripts speak, and the one kind of error they stop on."""

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
    """Something the person at the keyboard can mend; the text says how."""


def say(text: str) -> None:
    """Progress, on stderr, so that stdout holds only what was asked for."""
    print(text, file=sys.stderr, flush=True)


def environment() -> dict[str, str]:
    """The environment for child processes, with the project's tools and rustup's folder on PATH.

    The tools go first, since they are there only where what PATH has does not do. rustup's folder goes
    last: a shell that was opened before rustup ran lacks it.
    """
    home = Path(os.environ.get("CARGO_HOME") or Path.home() / ".cargo")
    path = os.pathsep.join([str(TOOLS / "bin"), os.environ.get("PATH", os.defpath), str(home / "bin")])
    return {**os.environ, "PATH": path}


def find(program: str) -> str | None:
    """The path of a program, looked for where children would find it."""
    return shutil.which(program, path=environment()["PATH"])


def cargo() -> str:
    """The path of cargo, or a Problem that says how to get it."""
    found = find("cargo")
    if found is None:
        raise Problem("cargo is not installed: install Rust with rustup (https://rustup.rs), then run this again")
    return found


def first_line_of(command: list[str]) -> str:
    """The first line that a command prints, or an empty text when it cannot run."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL,
                              timeout=30, env=environment(), check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    lines = done.stdout.splitlines()
    return lines[0] if done.returncode == 0 and lines else ""


def parse_version(line: str) -> tuple[int, ...]:
    """The numbers in a line such as `nats-server: v2.15.1`; empty where there are none."""
    match = re.search(r"(\d+)\.(\d+)\.(\d+)", line)
    return tuple(int(part) for part in match.groups()) if match else ()


def run_main(main: Callable[[], int]) -> None:
    """Run a script's main; a Problem becomes one line and exit 1, Ctrl-C exit 130."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")
    try:
        code = main()
    except Problem as problem:
        say(f"{Path(sys.argv[0]).name}: {problem}")
        code = 1
    except KeyboardInterrupt:
        say("")
        code = 130
    except BrokenPipeError:
        sys.stderr.close()
        code = 1
    sys.exit(code)
