"""The programs of the workspace that tests start: built by cargo, or in GAVEL_BIN_DIR."""

from __future__ import annotations

import os
from pathlib import Path

from lib.project import ROOT, Problem


def program(name: str) -> str:
    """The path of a program, such as `gavel`."""
    folder = os.environ.get("GAVEL_BIN_DIR") or Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target") / "debug"
    path = Path(folder).absolute() / name
    if not path.is_file():
        raise Problem(f"{path} does not exist: build it with `cargo build --workspace --bins`, or set GAVEL_BIN_DIR")
    return str(path)
