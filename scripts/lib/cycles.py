"""Cycles of files inside a crate: files that use each other, directly or through others.

Reads `crate::` and `super::` paths as text, without macros and without tests. A parent that declares `mod child;` does not
use it; `lib.rs` and `main.rs`, which join everything, are left out.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Iterator

TESTS = re.compile(r"^#\[cfg\(test\)\]\s*mod \w+ \{.*", re.MULTILINE | re.DOTALL)
COMMENT = re.compile(r"//[^\n]*")
USE = re.compile(r"\b((?:crate|super)(?:::\w+)+)(::\{[^;]*?\})?")
ROOTS = {"lib", "main"}


def cycles(source: Path) -> list[list[str]]:
    """The groups of modules under a `src` folder that use each other, each sorted."""
    modules = {path.relative_to(source).with_suffix("").as_posix().replace("/", "::"): path
               for path in sorted(source.rglob("*.rs")) if "bin" not in path.relative_to(source).parts}
    uses = {name: set(used(name, path.read_text(encoding="utf-8"), modules)) for name, path in modules.items()
            if name not in ROOTS}
    reached = {name: reachable(name, uses) for name in uses}
    groups = {tuple(sorted(other for other in reached[name] if name in reached.get(other, ()))) for name in uses
              if name in reached[name]}
    return [list(group) for group in sorted(groups)]


def used(name: str, text: str, modules: dict[str, Path]) -> Iterator[str]:
    """The modules that a file uses by path."""
    for head, tree in USE.findall(COMMENT.sub("", TESTS.sub("", text))):
        ends = [part.strip().split("::")[0] for part in re.split(r"[,{}]", tree) if part.strip()] if tree else []
        for path in [head, *(f"{head}::{end}" for end in ends)]:
            found = module(absolute(name, path.split("::")), modules)
            if found and found != name:
                yield found


def absolute(name: str, path: list[str]) -> list[str]:
    """The parts of a path from the root of the crate."""
    base = [] if path[0] == "crate" else name.split("::")
    for part in path:
        if part == "super":
            base = base[:-1]
        elif part != "crate":
            base.append(part)
    return base


def module(path: list[str], modules: dict[str, Path]) -> str:
    """The module that a path leads into, or an empty text."""
    for length in range(len(path), 0, -1):
        candidate = "::".join(path[:length])
        if candidate in modules:
            return candidate
    return ""


def reachable(name: str, uses: dict[str, set[str]]) -> set[str]:
    """The modules that a module uses, directly or through others."""
    found: set[str] = set()
    pending = list(uses[name])
    while pending:
        each = pending.pop()
        if each not in found:
            found.add(each)
            pending.extend(uses.get(each, ()))
    return found
