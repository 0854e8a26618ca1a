"""Tests and types that the documentation names: each must exist in the sources."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from lib.prose import Finding

# `crash::a_name`, `order::*`, `sign::tests`; and a long name alone, such as `chaos_of_three_seeds_loses_nothing`.
QUALIFIED = re.compile(r"`([a-z0-9_]+(?:::(?:[a-z0-9_]+\*?|\*))+)`")
ALONE = re.compile(r"`([a-z0-9]+(?:_[a-z0-9]+){4,})`")
# In the glossary: `Heartbeat` in `domain`; `Job`, `Progress` in `domain`.
TYPES = re.compile(r"((?:`\w+`, )*`\w+`) in `([\w/-]+)`")
DOCUMENTS = re.compile(r"(?:docs/.*|README|CONTRIBUTING|samples/README)(?:\.md)$|deploy/.*\.(?:yml|conf)$")


class Source(NamedTuple):
    """A Rust file: the modules it is in or has, and its functions."""

    modules: frozenset[str]
    functions: frozenset[str]


def sources(files: dict[str, str]) -> list[Source]:
    """The modules and functions of each Rust file, by its path."""
    found = []
    for path, text in files.items():
        modules = {part.removesuffix(".rs").replace("-", "_") for part in Path(path).parts}
        modules |= {"gavel_" + part.replace("-", "_") for part in Path(path).parts}
        modules |= set(re.findall(r"^\s*(?:pub(?:\([a-z]+\))? )?mod (\w+)", text, re.MULTILINE))
        found.append(Source(frozenset(modules), frozenset(re.findall(r"\bfn (\w+)", text))))
    return found


def exists(name: str, known: list[Source]) -> bool:
    """Whether a path such as `crash::killed` or `crash::*` names a test or a module."""
    *modules, last = name.split("::")
    for source in known:
        if not source.modules.issuperset(modules):
            continue
        if last == "*" or last in source.modules or last in source.functions:
            return True
        if last.endswith("*") and any(function.startswith(last[:-1]) for function in source.functions):
            return True
    return False


def missing_types(path: str, text: str, files: dict[str, str]) -> list[Finding]:
    """Each type of the glossary that its crate does not define."""
    found = []
    glossary = re.search(r"^## Glossary$.*?(?=^## )", text, re.MULTILINE | re.DOTALL)
    for match in TYPES.finditer(text, *glossary.span()) if glossary else ():
        folders = (f"crates/{match[2]}/", f"{match[2]}/")
        crate = "\n".join(source for file, source in files.items() if file.startswith(folders))
        for name in re.findall(r"\w+", match[1]):
            if not re.search(rf"\b(?:struct|enum|trait|type|mod) {name}\b", crate):
                line = text.count("\n", 0, match.start()) + 1
                found.append(Finding(path, line, name, f"no such type in {match[2]}", "the name that it has now"))
    return found


def check(path: str, text: str, known: list[Source]) -> list[Finding]:
    """Each name of a test in a document that no source has."""
    found = []
    names = [*QUALIFIED.finditer(text), *(match for match in ALONE.finditer(text) if not match[1].startswith("gavel_"))]
    for match in names:
        if not exists(match[1], known):
            line = text.count("\n", 0, match.start()) + 1
            found.append(Finding(path, line, match[1], "no such test or module in the sources", "the name that it has now"))
    return sorted(found, key=lambda each: each.line)
