"""The sandbox's table of languages, and the installation of their toolchains."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import NamedTuple

from lib import debian, private
from lib.project import ROOT, Problem, info

TABLE = ROOT / "crates" / "sandbox" / "languages.toml"
# Files without which an installed compiler cannot compile.
FILES = {"libc6-dev": "/usr/include/stdio.h"}
# Not installed for the tests: they take long to install, or their compiler is slow.
TOO_LARGE_FOR_TESTS = {"haskell", "kotlin", "swift"}
# The Judge0 ids that the app offers.
OFFERED = (50, 51, 52, 54, 60, 61, 62, 63, 68, 70, 71, 72, 73, 74, 78, 83)


class Language(NamedTuple):
    """The fields of a table entry that concern the installation."""

    key: str
    name: str
    ids: list[int]
    toolchain: str
    debian: list[str]
    debian_suite: str
    npm: list[str]

    def is_installed(self) -> bool:
        """Whether its toolchain and the files that it needs are installed."""
        files = [self.toolchain, *(FILES[package] for package in self.debian if package in FILES and not self.debian_suite)]
        own = self.private_part()
        return all(Path(file).exists() for file in files) and (own is None or own.is_optional() or own.is_installed())

    def private_part(self) -> private.Toolchain | None:
        """The packages for a private folder, and the script that prepares it; None if there is neither."""
        own = private.Toolchain(self.key, self.debian_suite, self.debian if self.debian_suite else [], bool(self.npm))
        return None if own.is_optional() and not own.script.exists() else own

    def packages(self) -> str:
        """The packages, for people. Of those of another Debian release only the first, which the others support."""
        debian = [f"{self.debian[0]} (Debian {self.debian_suite})"] if self.debian_suite else self.debian
        return " ".join([*debian, *self.npm])


def table() -> list[Language]:
    """All entries of the sandbox's table, in its order."""
    try:
        import tomllib
    except ImportError:
        raise Problem("Python 3.11 or later is needed to read TOML") from None
    entries = tomllib.loads(TABLE.read_text(encoding="utf-8"))["language"]
    return [Language(entry["key"], entry["name"], entry["ids"], entry["toolchain"], entry["debian"],
                     entry.get("debian_suite", ""), entry.get("npm", [])) for entry in entries]


def chosen(names: list[str]) -> list[Language]:
    """The entries with these keys or Judge0 ids."""
    known = table()
    found = []
    for name in names:
        match = [language for language in known if name.lower() == language.key or name in map(str, language.ids)]
        if not match:
            keys = " ".join(language.key for language in known)
            raise Problem(f"cannot install the language {name}; choose from: {keys}. Describe others in a file, and name it in "
                          "SANDBOX_LANGUAGES")
        found.extend(language for language in match if language not in found)
    return found


def for_tests() -> list[Language]:
    """The languages that the tests need."""
    return [language for language in table() if language.key not in TOO_LARGE_FOR_TESTS]


def missing_packages(languages: list[Language]) -> list[str]:
    """The packages of this system's Debian release that the languages need and that are not installed, each once."""
    missing = [language for language in languages if not language.is_installed()]
    packages = [package for language in missing if not language.debian_suite for package in language.debian]
    if any(language.npm for language in missing) and shutil.which("npm") is None:
        # A Node.js that is not from Debian includes npm.
        packages.append("npm")
    return list(dict.fromkeys(packages))


def install_private(languages: list[Language]) -> None:
    """Install the toolchains with a private folder; call this after the missing packages are installed."""
    for language in languages:
        own = language.private_part()
        if own is None or own.is_installed():
            continue
        if own.is_optional() and debian.privileged() is None:
            info(f"{language.name} is slower than it could be: this user may not write {own.folder}")
            continue
        own.install()
