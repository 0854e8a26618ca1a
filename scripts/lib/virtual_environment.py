"""Python packages in virtual environments below .tools/, pinned by version and SHA-256."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from lib import debian, wheels
from lib.project import TOOLS, Problem, info

# The oldest Python for which the requirements have packages.
MINIMUM = (3, 11)


class VirtualEnvironment(NamedTuple):
    """A virtual environment: its name below .tools/, what needs it, and a requirements file with digests."""

    name: str
    user: str
    requirements: Path

    @property
    def path(self) -> Path:
        """The folder of the environment."""
        return TOOLS / self.name

    def ensure(self) -> None:
        """Install the packages unless they are installed, and make them importable in this process."""
        self.install()
        packages = str(self.path / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages")
        # First, so that a package of the system with the same name is not used.
        if packages not in sys.path:
            sys.path.insert(0, packages)

    def install(self) -> None:
        """Install the packages unless they are installed. Concurrent calls wait for each other."""
        TOOLS.mkdir(exist_ok=True)
        with open(TOOLS / f".{self.name}-lock", "w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not self._is_installed():
                self._create()

    def _is_installed(self) -> bool:
        """Whether the pinned packages are installed for this Python."""
        try:
            return self._stamp_file().read_text(encoding="utf-8") == self._stamp()
        except OSError:
            return False

    def _stamp_file(self) -> Path:
        """A file that is written when the installation is complete."""
        return self.path / "installed"

    def _stamp(self) -> str:
        """What an installation depends on: the Python and the requirements."""
        return f"{sys.executable} {sys.version} {hashlib.sha256(self.requirements.read_bytes()).hexdigest()}\n"

    def _create(self) -> None:
        """Create the environment and install the packages with pip, which verifies them."""
        if sys.version_info < MINIMUM:
            needed, found = ".".join(map(str, MINIMUM)), sys.version.split()[0]
            raise Problem(f"{self.user} need Python {needed} or later; {sys.executable} is {found}")
        if not wheels.has_venv():
            debian.install(["python3-venv"])
        info(f"installing the packages for {self.user} (PyPI, verified by SHA-256)")
        shutil.rmtree(self.path, ignore_errors=True)
        run([sys.executable, "-m", "venv", str(self.path)])
        run([str(self.path / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps",
             "--require-hashes", "--only-binary", ":all:", "--requirement", str(self.requirements)])
        self._stamp_file().write_text(self._stamp(), encoding="utf-8")


def run(command: list[str]) -> None:
    """Run a step of the installation; its output goes to stderr."""
    if subprocess.run(command, stdin=subprocess.DEVNULL, stdout=2, check=False).returncode != 0:
        raise Problem(f"`{' '.join(command)}` failed (see above): check the network and PIP_INDEX_URL")
