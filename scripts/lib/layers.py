"""The order of the crates: which crate may depend on which, with a remedy for each violation.

domain ← proto ← bus ← {runtime, inspect} ← {services, cli}; inspect ← describe ← console ← cli; domain ← config ← {convex, runtime};
domain ← {convex, sandbox, judge0} ← services. telemetry, the table of metrics, is below every crate that has metrics,
and http below every crate that sends requests. Only the fetcher and the reporter use convex, and no service uses
inspect. Only crates/cli imports services, which it runs together. testkit is for tests, and chaos tests the pipeline
from outside; neither ships. Only bus and inspect use async-nats. No crate uses a file of the npm package, which is
convex/ and not the crate of that name.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Optional

from lib.cycles import cycles
from lib.project import ROOT

SERVICES = {"gavel-ingress", "gavel-fetcher", "gavel-judge", "gavel-reporter"}
CALLS_CONVEX = {"gavel-fetcher", "gavel-reporter"}
COMMAND_LINE = "gavel-cli"
INSPECT = "gavel-inspect"
DESCRIBE = "gavel-describe"
CONSOLE = "gavel-console"
LIBRARIES = {"gavel-domain", "gavel-proto", "gavel-bus", "gavel-convex", "gavel-sandbox", "gavel-judge0", "gavel-telemetry",
             "gavel-runtime", "gavel-config", "gavel-http"}
FOR_TESTS = {"gavel-testkit", "gavel-mock-convex"}

# The crates of this workspace that the shipped code of each crate may use (normal and build dependencies).
ALLOWED: dict[str, set[str]] = {
    "gavel-domain": set(),
    "gavel-proto": {"gavel-domain"},
    "gavel-telemetry": set(),
    "gavel-http": set(),
    "gavel-bus": {"gavel-domain", "gavel-proto", "gavel-telemetry"},
    "gavel-config": {"gavel-domain"},
    "gavel-convex": {"gavel-domain", "gavel-telemetry", "gavel-config", "gavel-http"},
    "gavel-sandbox": {"gavel-domain"},
    "gavel-judge0": {"gavel-domain", "gavel-telemetry", "gavel-http"},
    INSPECT: {"gavel-domain", "gavel-proto", "gavel-bus"},
    DESCRIBE: {"gavel-domain", "gavel-proto", "gavel-bus", INSPECT},
    CONSOLE: {"gavel-domain", "gavel-proto", "gavel-bus", "gavel-runtime", INSPECT, DESCRIBE},
    "gavel-runtime": {"gavel-domain", "gavel-bus", "gavel-telemetry", "gavel-config", "gavel-http"},
    "gavel-mock-convex": {"gavel-domain"},
    "gavel-testkit": LIBRARIES | {"gavel-mock-convex", INSPECT},
    # It starts the services as programs, and reads the state of the server directly.
    "gavel-chaos": {"gavel-domain", "gavel-proto", "gavel-bus", "gavel-http", INSPECT} | FOR_TESTS,
    # Only the fetcher and the reporter call Convex.
    **{service: LIBRARIES for service in CALLS_CONVEX},
    **{service: LIBRARIES - {"gavel-convex"} for service in SERVICES - CALLS_CONVEX},
    COMMAND_LINE: LIBRARIES | SERVICES | {"gavel-mock-convex", INSPECT, DESCRIBE, CONSOLE},
}

# Dependencies that would add I/O, a clock or a runtime to the pure crate.
IMPURE = {"tokio", "tokio-util", "futures", "async-nats", "axum", "reqwest", "rand", "nix", "libc", "rustix"}

# The test kit sets the parent-death signal of a test's processes between fork and exec.
UNSAFE_ALLOWED = {"gavel-sandbox", "gavel-testkit"}


def violations(packages: list[dict[str, Any]], root: Path = ROOT) -> list[str]:
    """The violations in the packages of `cargo metadata --no-deps`, in order."""
    members = {package["name"] for package in packages}
    found = []
    for package in sorted(packages, key=lambda each: each["name"]):
        if package["name"] not in ALLOWED:
            found.append(f"{package['name']}: this crate is not in the order of the crates: add it to scripts/lib/layers.py "
                         "and to docs/architecture.md")
            continue
        for dependency in package["dependencies"]:
            remedy = violation(package["name"], dependency, members)
            if remedy:
                found.append(f"{package['name']} → {dependency['name']}: {remedy}")
        folder = Path(package["manifest_path"]).parent
        found.extend(lint_violations(package["name"], folder))
        found.extend(npm_violations(package["name"], folder, root / "convex"))
        found.extend(f"{package['name']}: these files use each other: {', '.join(cycle)}: move what they share into a file below "
                     "them" for cycle in cycles(folder / "src"))
    return found


def violation(name: str, dependency: dict[str, Any], members: set[str]) -> Optional[str]:
    """The rule that a dependency violates, with the remedy; None if it is allowed."""
    target = dependency["name"]
    tests_only = dependency["kind"] == "dev"
    if target == "async-nats":
        return nats_violation(name, tests_only)
    if name == "gavel-domain" and target in IMPURE and not tests_only:
        return "the domain is pure, without I/O, clock or runtime: pass the data that it needs as a value"
    if target not in members or target == name:
        return None
    if tests_only:
        return test_violation(name, target)
    if target in ALLOWED[name]:
        return None
    return remedy_for(name, target)


def nats_violation(name: str, tests_only: bool) -> Optional[str]:
    """Only bus and inspect use the NATS client; tests may access the server directly."""
    users = SERVICES | {COMMAND_LINE}
    if name in {"gavel-bus", INSPECT, "gavel-testkit", "gavel-chaos"} or (tests_only and name in users):
        return None
    if name in users:
        return ("only gavel-bus and gavel-inspect use async-nats: call them, or make this a dev-dependency if only tests or "
                "benches need it")
    return "only gavel-bus and gavel-inspect use async-nats: add a function there and call it from this crate"


def test_violation(name: str, target: str) -> Optional[str]:
    """Tests may use any library; only the tests of the command line may use services."""
    if target in SERVICES | {COMMAND_LINE} and name != COMMAND_LINE:
        return "a test that needs another service belongs in crates/cli/tests"
    return None


def remedy_for(name: str, target: str) -> str:
    """The remedy for a dependency of shipped code that violates the order."""
    if target == "gavel-testkit":
        return "gavel-testkit is for tests only: make it a dev-dependency"
    if target == "gavel-mock-convex":
        return "gavel-mock-convex ships only in crates/cli: make it a dev-dependency"
    if target in SERVICES | {COMMAND_LINE}:
        return "only crates/cli imports services: move the shared code into a crate below, or send an event"
    if target in {INSPECT, DESCRIBE, CONSOLE}:
        return f"{target} is for people, and is never compiled into a service: use gavel-bus"
    if name in FOR_TESTS:
        return "gavel-mock-convex knows only the wire contract: pass the data that it needs as a value"
    allowed = ", ".join(sorted(ALLOWED[name])) or "no crate of this workspace"
    return f"this dependency points upwards; {name} may use {allowed}: move the shared code down, or combine both in the service"


def lint_violations(name: str, folder: Path) -> list[str]:
    """Crates that do not use the workspace's lints, or that allow unsafe code and may not."""
    found = []
    manifest = (folder / "Cargo.toml").read_text(encoding="utf-8")
    if not re.search(r"^\[lints\]\s*\n(?:#.*\n)*workspace\s*=\s*true", manifest, re.MULTILINE) and name not in UNSAFE_ALLOWED:
        found.append(f"{name}: Cargo.toml does not use the workspace's lints: add `[lints]` with `workspace = true`")
    if name in UNSAFE_ALLOWED:
        return found
    for source in sorted(folder.rglob("*.rs")):
        if "target" in source.relative_to(folder).parts:
            continue
        if re.search(r"\b(?:allow|expect|warn)\s*\([^)]*\bunsafe_code\b", source.read_text(encoding="utf-8")):
            found.append(f"{name}: {source.relative_to(folder)} allows unsafe code: only gavel-sandbox may, so move the code there "
                         "or use a safe wrapper (rustix)")
    return found


def npm_violations(name: str, folder: Path, npm_package: Path) -> list[str]:
    """Files of a crate that name a file of the npm package, relative to themselves or to the manifest."""
    found = []
    for source in sorted([folder / "Cargo.toml", *folder.rglob("*.rs")]):
        for path in re.findall(r'"/?((?:\.\./)+convex/[^"]+)"', source.read_text(encoding="utf-8")):
            named = [(base / path).resolve() for base in (source.parent, folder)]
            if any(file.is_relative_to(npm_package) and file.exists() for file in named):
                found.append(f"{name}: {source.relative_to(folder)} uses {path} of the npm package: put what both need into "
                             "docs/, proto/ or samples/")
    return found
