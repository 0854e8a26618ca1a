"""Cargo's extra subcommands, pinned, built into the project's .tools/ where they are missing."""

from __future__ import annotations

import subprocess

from lib.project import ROOT, TOOLS, Problem, cargo, environment, find, first_line_of, parse_version, say

# What is built where none fits, and what fits: a linter gives one answer only at one version.
PINNED = {"cargo-deny": "0.20.2", "cargo-fuzz": "0.13.1", "cargo-nextest": "0.9.143"}
OLDEST = {"cargo-deny": "0.20.2", "cargo-fuzz": "0.13.1", "cargo-nextest": "0.9.100"}
NEWEST = {"cargo-deny": "0.20.2", "cargo-fuzz": "0.13.999", "cargo-nextest": "0.9.999"}


def ensure(tool: str) -> None:
    """Build the pinned version, unless one that fits is found."""
    found = find(tool)
    version = installed_version(found, tool) if found else ()
    if not parse_version(OLDEST[tool]) <= version <= parse_version(NEWEST[tool]):
        build(tool, PINNED[tool])


def installed_version(path: str, tool: str) -> tuple[int, ...]:
    """The version a tool reports in `cargo-deny 0.20.2` or `cargo-nextest 0.9.143 (…)`."""
    # nextest answers only to the subcommand that cargo would call.
    command = [path, "nextest", "--version"] if tool == "cargo-nextest" else [path, "--version"]
    return parse_version(first_line_of(command))


def build(tool: str, version: str) -> None:
    """cargo install, from the versions its own lock file names."""
    say(f"building {tool} {version} into .tools/ (some minutes, once)")
    command = [cargo(), "install", tool, "--locked", "--version", version, "--root", str(TOOLS)]
    done = subprocess.run(command, cwd=ROOT, env=environment(), stdin=subprocess.DEVNULL, stdout=2, check=False)
    if done.returncode != 0:
        raise Problem(f"could not build {tool} {version} (see above); `cargo install {tool} --locked --version {version}` shows more")
