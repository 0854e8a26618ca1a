"""The order of the crates: who may depend on whom, and what each violation's mending is.

domain ← proto ← bus ← runtime ← services; domain ← config ← {convex, runtime}; domain ← {convex, sandbox, judge0} ←
services. telemetry, the table of metrics, is below all that have some. Only the fetcher and the reporter use convex.
Services meet only in crates/cli, which runs them together. testkit is for tests, and chaos tests the pipeline from
outside; neither ships. Only the bus names async-nats.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Optional

SERVICES = {"gavel-ingress", "gavel-fetcher", "gavel-judge", "gavel-reporter"}
CALLS_CONVEX = {"gavel-fetcher", "gavel-reporter"}
COMMAND_LINE = "gavel-cli"
LIBRARIES = {"gavel-domain", "gavel-proto", "gavel-bus", "gavel-convex", "gavel-sandbox", "gavel-judge0", "gavel-telemetry",
             "gavel-runtime", "gavel-config"}
FOR_TESTS = {"gavel-testkit", "gavel-mock-convex"}

# What the code that ships (normal and build dependencies) of each crate may use of this workspace.
ALLOWED: dict[str, set[str]] = {
    "gavel-domain": set(),
    "gavel-proto": {"gavel-domain"},
    "gavel-telemetry": set(),
    "gavel-bus": {"gavel-domain", "gavel-proto", "gavel-telemetry"},
    "gavel-config": {"gavel-domain"},
    "gavel-convex": {"gavel-domain", "gavel-telemetry", "gavel-config"},
    "gavel-sandbox": {"gavel-domain"},
    "gavel-judge0": {"gavel-domain", "gavel-telemetry"},
    "gavel-runtime": {"gavel-domain", "gavel-bus", "gavel-telemetry", "gavel-config"},
    "gavel-mock-convex": {"gavel-domain"},
    "gavel-testkit": LIBRARIES | {"gavel-mock-convex"},
    # It starts the services as programs, and looks at the server behind their backs.
    "gavel-chaos": {"gavel-domain", "gavel-proto", "gavel-bus"} | FOR_TESTS,
    # Only the fetcher and the reporter call Convex.
    **{service: LIBRARIES for service in CALLS_CONVEX},
    **{service: LIBRARIES - {"gavel-convex"} for service in SERVICES - CALLS_CONVEX},
    COMMAND_LINE: LIBRARIES | SERVICES | {"gavel-mock-convex"},
}

# What would bring I/O, a clock or a runtime into the pure crate.
IMPURE = {"tokio", "tokio-util", "futures", "async-nats", "axum", "reqwest", "rand", "nix", "libc", "rustix"}

# The test kit sets the signal that ends a test's processes with it, between fork and exec.
UNSAFE_ALLOWED = {"gavel-sandbox", "gavel-testkit"}


def violations(packages: list[dict[str, Any]]) -> list[str]:
    """Each violation in the packages of `cargo metadata --no-deps`, in order; empty when all is well."""
    members = {package["name"] for package in packages}
    found = []
    for package in sorted(packages, key=lambda each: each["name"]):
        if package["name"] not in ALLOWED:
            found.append(f"{package['name']}: this crate has no place in the order: give it one in scripts/lib/layers.py "
                         "and in CONTRIBUTING.md")
            continue
        for dependency in package["dependencies"]:
            fault = against(package["name"], dependency, members)
            if fault:
                found.append(f"{package['name']} → {dependency['name']}: {fault}")
        found.extend(unsafe_faults(package["name"], Path(package["manifest_path"]).parent))
    return found


def against(name: str, dependency: dict[str, Any], members: set[str]) -> Optional[str]:
    """What one dependency violates and how to mend it; None when it is allowed."""
    target = dependency["name"]
    tests_only = dependency["kind"] == "dev"
    if target == "async-nats":
        return against_nats(name, tests_only)
    if name == "gavel-domain" and target in IMPURE and not tests_only:
        return "the domain is pure, without I/O, clock or runtime: pass in what it needs as a value"
    if target not in members or target == name:
        return None
    if tests_only:
        return against_in_tests(name, target)
    if target in ALLOWED[name]:
        return None
    return mending(name, target)


def against_nats(name: str, tests_only: bool) -> Optional[str]:
    """Only the bus names the client; tests may look at the server behind its back."""
    users = SERVICES | {COMMAND_LINE}
    if name in {"gavel-bus", "gavel-testkit", "gavel-chaos"} or (tests_only and name in users):
        return None
    if name in users:
        return "only gavel-bus uses async-nats: ask it, or make this a dev-dependency if just tests or benches need it"
    return "only gavel-bus uses async-nats: put what is needed there and call it from the service"


def against_in_tests(name: str, target: str) -> Optional[str]:
    """Tests may use any library, but no service except from the command line."""
    if target in SERVICES | {COMMAND_LINE} and name != COMMAND_LINE:
        return "a test that needs another service belongs in crates/cli/tests, where services meet"
    return None


def mending(name: str, target: str) -> str:
    """How to mend a dependency of shipped code that is against the order."""
    if target == "gavel-testkit":
        return "the testkit is for tests only: make it a dev-dependency"
    if target == "gavel-mock-convex":
        return "the stand-in ships only in crates/cli: make it a dev-dependency"
    if target in SERVICES | {COMMAND_LINE}:
        return "services meet only in crates/cli: move what is shared into a crate below, or send an event"
    if name in FOR_TESTS:
        return "the stand-in speaks only the wire contract: give it what it needs as a value"
    allowed = ", ".join(sorted(ALLOWED[name])) or "no crate of this workspace"
    return f"this points the wrong way, {name} may use {allowed}: move the shared part down, or let the service join the two"


def unsafe_faults(name: str, folder: Path) -> list[str]:
    """The workspace's lints hold everywhere, and unsafe code is let in only where the system calls are."""
    found = []
    manifest = (folder / "Cargo.toml").read_text(encoding="utf-8")
    if not re.search(r"^\[lints\]\s*\n(?:#.*\n)*workspace\s*=\s*true", manifest, re.MULTILINE) and name not in UNSAFE_ALLOWED:
        found.append(f"{name}: Cargo.toml does not take the workspace's lints: add `[lints]` with `workspace = true`")
    if name in UNSAFE_ALLOWED:
        return found
    for source in sorted(folder.rglob("*.rs")):
        if "target" in source.relative_to(folder).parts:
            continue
        if re.search(r"\b(?:allow|expect|warn)\s*\([^)]*\bunsafe_code\b", source.read_text(encoding="utf-8")):
            found.append(f"{name}: {source.relative_to(folder)} lets unsafe code in: only gavel-sandbox may, so move it there "
                         "or use a safe form (rustix, nix)")
    return found
