"""Toolchains in private folders below /usr/local/lib/gavel: packages of another Debian release, or of npm, or only what
makes the system's own toolchain faster."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

from lib import debian, npm
from lib.project import ROOT, Problem, info

# The sandbox's table expects the folders here: below /usr, which programs can read.
PARENT = Path("/usr/local/lib/gavel")
SCRIPTS = ROOT / "scripts" / "toolchains"
# A folder with package.json and package-lock.json for each toolchain from npm.
NPM = SCRIPTS / "npm"


class Toolchain:
    """The packages of a folder, and the script that prepares them, if there is one."""

    def __init__(self, key: str, suite: str, packages: list[str], from_npm: bool) -> None:
        self.folder = PARENT / key
        self.suite = suite
        self.packages = packages
        self.lock = NPM / key / "package-lock.json" if from_npm else None
        self.script = SCRIPTS / key

    def recipe(self) -> str:
        """The digest of the packages, the lock file and the script. The folder keeps it, so that a change is noticed."""
        script = self.script.read_text(encoding="utf-8") if self.script.exists() else ""
        lock = [self.lock.read_text(encoding="utf-8")] if self.lock else []
        return hashlib.sha256(repr((self.suite, self.packages, lock, script)).encode()).hexdigest()

    def is_optional(self) -> bool:
        """Whether the toolchain itself is elsewhere, and works without the folder."""
        return not self.suite and self.lock is None

    def is_installed(self) -> bool:
        """Whether the folder was completed from the same packages and files."""
        mark = self.folder / ".recipe"
        return mark.is_file() and mark.read_text(encoding="utf-8") == self.recipe() and self.are_inputs_unchanged()

    def are_inputs_unchanged(self) -> bool:
        """Whether the files that the script prepared the folder from are the same, if it lists them in `inputs`.

        A line has the size in bytes, the time in seconds and the path. The sandbox checks the same list."""
        listing = self.folder / "inputs"
        lines = listing.read_text(encoding="utf-8").splitlines() if listing.is_file() else []
        for line in lines:
            size, time, path = line.split(" ", 2)
            if not os.path.exists(path) or (int(size), int(time)) != (os.stat(path).st_size, int(os.stat(path).st_mtime)):
                return False
        return True

    def install(self) -> None:
        """Unpack the packages into a new folder, put it in place of the old one, and prepare it there."""
        prefix = debian.privileged()
        if prefix is None:
            raise Problem(f"this user may not write {self.folder}: run this as root, or with a sudo that needs no password")
        new = self.folder.with_name(f"{self.folder.name}.new")
        run([*prefix, "rm", "-rf", str(new)])
        run([*prefix, "mkdir", "-p", str(new)])
        if self.suite:
            debian.unpack(self.suite, self.packages, new, prefix)
        if self.lock:
            npm.install(self.lock, new, prefix)
        run([*prefix, "rm", "-rf", str(self.folder)])
        run([*prefix, "mv", str(new), str(self.folder)])
        if self.script.exists():
            info(f"preparing {self.folder}")
            run([*prefix, str(self.script)], folder=self.folder)
        run([*prefix, "tee", str(self.folder / ".recipe")], text=self.recipe())


def run(command: list[str], folder: Path | None = None, text: str = "") -> None:
    """Run a step of the installation; what it prints is progress."""
    done = subprocess.run(command, cwd=folder, input=text, text=True, stdout=subprocess.DEVNULL if text else 2, check=False)
    if done.returncode != 0:
        raise Problem(f"`{' '.join(command)}` failed (see above)")
