"""The packages that check docs/openapi.yaml, in a virtual environment below .tools/, pinned by version and SHA-256."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from lib import debian, wheels
from lib.project import TOOLS, Problem, info

REQUIREMENTS = Path(__file__).resolve().parent / "openapi-requirements.txt"
ENVIRONMENT = TOOLS / "openapi"
# The oldest Python for which REQUIREMENTS has packages.
MINIMUM = (3, 11)


def ensure() -> None:
    """Install the packages unless they are installed, and make them importable in this process."""
    install()
    packages = str(ENVIRONMENT / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages")
    # First, so that a package of the system with the same name is not used.
    if packages not in sys.path:
        sys.path.insert(0, packages)


def install() -> None:
    """Install the packages unless they are installed. Concurrent calls wait for each other."""
    TOOLS.mkdir(exist_ok=True)
    with open(TOOLS / ".openapi-lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not is_installed():
            create()


def is_installed() -> bool:
    """Whether the pinned packages are installed for this Python."""
    try:
        return stamp_file().read_text(encoding="utf-8") == stamp()
    except OSError:
        return False


def stamp_file() -> Path:
    """A file that is written when the installation is complete."""
    return ENVIRONMENT / "installed"


def stamp() -> str:
    """What an installation depends on: the Python and the requirements."""
    return f"{sys.executable} {sys.version} {hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()}\n"


def create() -> None:
    """Create the environment and install the packages with pip, which verifies them."""
    if sys.version_info < MINIMUM:
        needed, found = ".".join(map(str, MINIMUM)), sys.version.split()[0]
        raise Problem(f"the checks of docs/openapi.yaml need Python {needed} or later; {sys.executable} is {found}")
    if not wheels.has_venv():
        debian.install(["python3-venv"])
    info("installing the packages that check docs/openapi.yaml (PyPI, verified by SHA-256)")
    shutil.rmtree(ENVIRONMENT, ignore_errors=True)
    run([sys.executable, "-m", "venv", str(ENVIRONMENT)])
    run([str(ENVIRONMENT / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps",
         "--require-hashes", "--only-binary", ":all:", "--requirement", str(REQUIREMENTS)])
    stamp_file().write_text(stamp(), encoding="utf-8")


def run(command: list[str]) -> None:
    """Run a step of the installation; its output goes to stderr."""
    if subprocess.run(command, stdin=subprocess.DEVNULL, stdout=2, check=False).returncode != 0:
        raise Problem(f"`{' '.join(command)}` failed (see above): check the network and PIP_INDEX_URL")
