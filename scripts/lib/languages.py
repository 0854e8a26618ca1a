"""The sandbox's table of languages, and how their toolchains come onto this machine."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

from lib import debian
from lib.project import ROOT, Problem, say

TABLE = ROOT / "crates" / "sandbox" / "languages.toml"
# Where the sandbox's table looks for npm's packages: below /usr, which programs see.
NPM_FOLDER = Path("/usr/local/lib/gavel")
# Without these files a compiler that is there cannot compile.
FILES = {"libc6-dev": "/usr/include/stdio.h"}
# Not for the tests' sake: they take long to install, and Kotlin's compiler is slow besides.
TOO_LARGE_FOR_TESTS = {"haskell", "kotlin"}


class Language(NamedTuple):
    """What an entry of the table says of the installation."""

    key: str
    name: str
    ids: list[int]
    toolchain: str
    debian: list[str]
    npm: list[str]

    def is_installed(self) -> bool:
        """Whether its toolchain and what that needs are here."""
        files = [self.toolchain, *(FILES[package] for package in self.debian if package in FILES)]
        return all(Path(file).exists() for file in files)


def table() -> list[Language]:
    """All entries of the sandbox's table, in its order."""
    try:
        import tomllib
    except ImportError:
        raise Problem("this needs Python 3.11 or later, which reads TOML") from None
    entries = tomllib.loads(TABLE.read_text(encoding="utf-8"))["language"]
    return [Language(entry["key"], entry["name"], entry["ids"], entry["toolchain"], entry["debian"], entry.get("npm", []))
            for entry in entries]


def chosen(words: list[str]) -> list[Language]:
    """The entries that these words name, by key or by one of Judge0's ids."""
    known = table()
    found = []
    for word in words:
        match = [language for language in known if word.lower() == language.key or word in map(str, language.ids)]
        if not match:
            keys = " ".join(language.key for language in known)
            raise Problem(f"{word} is no language that this can install; these are: {keys}. Others are for the file that "
                          "SANDBOX_LANGUAGES names")
        found.extend(language for language in match if language not in found)
    return found


def for_tests() -> list[Language]:
    """Those that the tests want."""
    return [language for language in table() if language.key not in TOO_LARGE_FOR_TESTS]


def missing_packages(languages: list[Language]) -> list[str]:
    """The Debian packages of those whose toolchains are not here, each once."""
    missing = [language for language in languages if not language.is_installed()]
    packages = [package for language in missing for package in language.debian]
    if any(language.npm for language in missing) and shutil.which("npm") is None:
        # Where Node.js is not Debian's, npm comes with it.
        packages.append("npm")
    return list(dict.fromkeys(packages))


def install_npm(languages: list[Language]) -> None:
    """npm's packages, after Debian's."""
    for language in languages:
        if language.npm and not language.is_installed():
            folder = NPM_FOLDER / language.key
            prefix = debian.privileged()
            command = ["npm", "install", "--prefix", str(folder), "--no-audit", "--no-fund", "--save-exact", *language.npm]
            if prefix is None:
                raise Problem(f"this user may not write {folder}; run\n  sudo {' '.join(command)}\nand then this again")
            say(f"installing {' '.join(language.npm)} with npm into {folder}")
            make = [*prefix, "mkdir", "-p", str(folder)]
            for step in (make, [*prefix, *command]):
                if subprocess.run(step, stdin=subprocess.DEVNULL, stdout=2, check=False).returncode != 0:
                    raise Problem(f"`{' '.join(step)}` failed (see above)")
