"""The sandbox's table of languages, and the installation of their toolchains."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

from lib import debian
from lib.project import ROOT, Problem, info

TABLE = ROOT / "crates" / "sandbox" / "languages.toml"
# The sandbox's table expects npm's packages here: below /usr, which programs can read.
NPM_FOLDER = Path("/usr/local/lib/gavel")
# Files without which an installed compiler cannot compile.
FILES = {"libc6-dev": "/usr/include/stdio.h"}
# Not installed for the tests: they take long to install, and Kotlin's compiler is slow.
TOO_LARGE_FOR_TESTS = {"haskell", "kotlin"}


class Language(NamedTuple):
    """The fields of a table entry that concern the installation."""

    key: str
    name: str
    ids: list[int]
    toolchain: str
    debian: list[str]
    npm: list[str]

    def is_installed(self) -> bool:
        """Whether its toolchain and the files that it needs are installed."""
        files = [self.toolchain, *(FILES[package] for package in self.debian if package in FILES)]
        return all(Path(file).exists() for file in files)


def table() -> list[Language]:
    """All entries of the sandbox's table, in its order."""
    try:
        import tomllib
    except ImportError:
        raise Problem("Python 3.11 or later is needed to read TOML") from None
    entries = tomllib.loads(TABLE.read_text(encoding="utf-8"))["language"]
    return [Language(entry["key"], entry["name"], entry["ids"], entry["toolchain"], entry["debian"], entry.get("npm", []))
            for entry in entries]


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
    """The Debian packages of the languages that are not installed, each once."""
    missing = [language for language in languages if not language.is_installed()]
    packages = [package for language in missing for package in language.debian]
    if any(language.npm for language in missing) and shutil.which("npm") is None:
        # A Node.js that is not from Debian includes npm.
        packages.append("npm")
    return list(dict.fromkeys(packages))


def install_npm(languages: list[Language]) -> None:
    """Install the npm packages of the languages; call this after Debian's are installed."""
    for language in languages:
        if language.npm and not language.is_installed():
            folder = NPM_FOLDER / language.key
            prefix = debian.privileged()
            command = ["npm", "install", "--prefix", str(folder), "--no-audit", "--no-fund", "--save-exact", *language.npm]
            if prefix is None:
                raise Problem(f"this user may not write {folder}; run\n  sudo {' '.join(command)}\nthen run this again")
            info(f"installing {' '.join(language.npm)} with npm into {folder}")
            make = [*prefix, "mkdir", "-p", str(folder)]
            for step in (make, [*prefix, *command]):
                if subprocess.run(step, stdin=subprocess.DEVNULL, stdout=2, check=False).returncode != 0:
                    raise Problem(f"`{' '.join(step)}` failed (see above)")
