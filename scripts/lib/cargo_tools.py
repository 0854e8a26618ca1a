"""Cargo's additional subcommands, pinned, and built into .tools/ if they are missing."""

from __future__ import annotations

import subprocess

from lib.project import ROOT, TOOLS, Problem, cargo, environment, find, first_line_of, info, parse_version

# The version to build, and the oldest and newest that are accepted: a linter gives the same result only at the same version.
# The same holds for what makes packages, which must have the same bytes.
PINNED = {"cargo-cyclonedx": "0.5.9", "cargo-deb": "3.8.0", "cargo-deny": "0.20.2", "cargo-fuzz": "0.13.1", "cargo-nextest": "0.9.143"}
OLDEST = {**PINNED, "cargo-nextest": "0.9.100"}
NEWEST = {**PINNED, "cargo-fuzz": "0.13.999", "cargo-nextest": "0.9.999"}
# Its programs fold the stacks of perf and draw flame graphs. They do not print their version.
INFERNO = "0.12.8"
# Compiling them takes longer than all their runs: less optimization.
PROFILE = {"CARGO_PROFILE_RELEASE_OPT_LEVEL": "1", "CARGO_PROFILE_RELEASE_LTO": "off", "CARGO_PROFILE_RELEASE_CODEGEN_UNITS": "16",
           "CARGO_PROFILE_RELEASE_DEBUG": "0"}


def ensure(tool: str) -> None:
    """Build the pinned version, unless an accepted one is installed."""
    found = find(tool)
    version = installed_version(found, tool) if found else ()
    if not parse_version(OLDEST[tool]) <= version <= parse_version(NEWEST[tool]):
        build(tool, PINNED[tool])


def ensure_inferno() -> None:
    """Build the pinned version of inferno, unless cargo has installed it into .tools/."""
    installed = TOOLS / ".crates.toml"
    if not installed.is_file() or f'"inferno {INFERNO} ' not in installed.read_text(encoding="utf-8"):
        build("inferno", INFERNO)


def installed_version(path: str, tool: str) -> tuple[int, ...]:
    """The version that a tool prints, as in `cargo-deny 0.20.2` or `cargo-nextest 0.9.143 (…)`."""
    # Some accept only the arguments with which cargo would call them.
    as_subcommand = tool in ("cargo-cyclonedx", "cargo-nextest")
    command = [path, *([tool.removeprefix("cargo-")] if as_subcommand else []), "--version"]
    return parse_version(first_line_of(command))


def build(tool: str, version: str) -> None:
    """Run cargo install with the versions of the tool's lock file."""
    info(f"building {tool} {version} into .tools/ (takes some minutes, once)")
    command = [cargo(), "install", tool, "--locked", "--version", version, "--root", str(TOOLS)]
    done = subprocess.run(command, cwd=ROOT, env={**environment(), **PROFILE}, stdin=subprocess.DEVNULL, stdout=2, check=False)
    if done.returncode != 0:
        raise Problem(f"could not build {tool} {version} (see above); `cargo install {tool} --locked --version {version}` shows more")
