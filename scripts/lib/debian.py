"""Debian packages: installed with apt-get, if this user may, or unpacked from another release."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from lib.project import TOOLS, Problem, info

# The second has the releases that the first no longer has.
MIRRORS = ("http://deb.debian.org/debian", "http://archive.debian.org/debian")
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


def install(packages: list[str]) -> None:
    """Run apt-get install, as root or with sudo if it needs no password; otherwise a Problem with the command to run."""
    by_hand = f"sudo apt-get update && sudo apt-get install -y {' '.join(packages)}"
    if shutil.which("apt-get") is None:
        raise Problem(f"packages are missing and this system has no apt-get: install the equivalents of Debian's {' '.join(packages)}")
    prefix = privileged()
    if prefix is None:
        raise Problem(f"packages are missing and this user may not install them; run\n  {by_hand}\nthen run this again")
    info(f"installing {' '.join(packages)} with apt-get (may take some minutes)")
    options = ["-o", "DPkg::Lock::Timeout=300", "-qq"]
    # A partly failed update (a broken third-party source) may not matter: the install decides.
    apt(prefix, [*options, "update"])
    if apt(prefix, [*options, "install", "-y", "--no-install-recommends", *packages], Progress()) != 0:
        raise Problem(f"apt-get could not install {' '.join(packages)} (see above); to try it yourself, run\n  {by_hand}")


def unpack(suite: str, packages: list[str], folder: Path, prefix: list[str]) -> None:
    """Download the packages of a Debian release, without their dependencies, and unpack them into a folder.

    apt-get verifies the signature of the release and the digest of each package. It keeps its lists in a temporary folder,
    so that this system's package sources stay as they are.
    """
    if shutil.which("apt-get") is None or not KEYRING.exists():
        raise Problem(f"packages of Debian {suite} need apt-get and {KEYRING}: install Debian's packages apt and debian-archive-keyring")
    TOOLS.mkdir(exist_ok=True)
    info(f"downloading {' '.join(packages)} of Debian {suite}")
    with tempfile.TemporaryDirectory(prefix="apt-", dir=TOOLS) as temporary:
        own = Path(temporary)
        if not any(download(mirror, suite, packages, own) for mirror in MIRRORS):
            raise Problem(f"apt-get could not download packages of Debian {suite} from {' or '.join(MIRRORS)} (see above): check the "
                          "network and apt's proxy setting")
        for archive in sorted(own.glob("*.deb")):
            command = [*prefix, "dpkg-deb", "--extract", str(archive), str(folder)]
            if subprocess.run(command, stdin=subprocess.DEVNULL, stdout=2, check=False).returncode != 0:
                raise Problem(f"`{' '.join(command)}` failed (see above)")


def download(mirror: str, suite: str, packages: list[str], folder: Path) -> bool:
    """Download packages into a folder with an apt that knows one release only. Returns whether all were downloaded."""
    for name in ("lists/partial", "cache/archives/partial", "preferences"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "status").touch()
    sources = folder / "sources.list"
    sources.write_text(f"deb [signed-by={KEYRING}] {mirror} {suite} main\n", encoding="utf-8")
    settings = {
        "Dir::Etc::SourceList": sources, "Dir::Etc::SourceParts": "-", "Dir::Etc::Preferences": "-",
        "Dir::Etc::PreferencesParts": folder / "preferences", "Dir::State": folder, "Dir::State::Status": folder / "status",
        "Dir::Cache": folder / "cache", "APT::Update::Error-Mode": "any", "Acquire::Languages": "none", "Acquire::Retries": 3,
        # The user of apt's downloads may not read this folder.
        "APT::Sandbox::User": "root",
    }
    apt_get = ["apt-get", "-q", *(part for name, value in settings.items() for part in ("-o", f"{name}={value}"))]
    return all(subprocess.run([*apt_get, *arguments], cwd=folder, stdin=subprocess.DEVNULL, stdout=2, check=False).returncode == 0
               for arguments in (["update"], ["download", *packages]))


def candidate(package: str) -> str:
    """The version of a package that apt-get would install, after an update if this user may; empty if there is none."""
    if shutil.which("apt-cache") is None:
        return ""
    prefix = privileged()
    if prefix is not None:
        apt(prefix, ["-o", "DPkg::Lock::Timeout=300", "-qq", "update"])
    shown = subprocess.run(["apt-cache", "policy", package], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                           check=False)
    found = re.search(r"^ *Candidate: (?!\(none\))(\S+)$", shown.stdout, re.MULTILINE)
    return found[1] if found else ""


def privileged() -> list[str] | None:
    """The prefix that runs a command as root; None if this user may not."""
    if os.geteuid() == 0:
        return []
    sudo = shutil.which("sudo")
    if sudo and subprocess.run([sudo, "-n", "true"], capture_output=True, stdin=subprocess.DEVNULL, check=False).returncode == 0:
        return [sudo, "-n"]
    return None


class Progress:
    """Shows how far apt-get is: in one line of a terminal, otherwise in a line every 15 seconds."""

    INTERVAL_SECONDS = 15

    def __init__(self) -> None:
        self.is_terminal = sys.stderr.isatty()
        self.shown = time.monotonic()

    def show(self, status: str) -> None:
        """Show a line of apt's status, such as `pmstatus:gcc:52.1:Unpacking gcc`: what, package, percent, text."""
        kind, _, fields = status.strip().partition(":")
        _, _, fields = fields.partition(":")
        percent, _, _ = fields.partition(":")
        doing = {"dlstatus": "downloading", "pmstatus": "installing"}.get(kind)
        if doing is None or not re.fullmatch(r"[\d.]+", percent):
            return
        line = f"  {doing}: {float(percent):.0f} %"
        if self.is_terminal:
            print(f"\r{line:<24}", end="", file=sys.stderr, flush=True)
        elif time.monotonic() - self.shown >= self.INTERVAL_SECONDS:
            self.shown = time.monotonic()
            info(line)

    def end(self) -> None:
        """Erase the line of a terminal."""
        if self.is_terminal:
            print(f"\r{'':<24}\r", end="", file=sys.stderr, flush=True)


def apt(prefix: list[str], arguments: list[str], progress: Progress | None = None) -> int:
    """Run apt-get non-interactively; return the exit code, and show the output if it fails."""
    command = [*prefix, "env", "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C.UTF-8", "apt-get"]
    output: list[str] = []
    # apt writes its status to standard error, among other messages: sudo closes all other descriptors.
    status = ["-o", "APT::Status-Fd=2"] if progress else []
    with subprocess.Popen([*command, *status, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace") as process:
        assert process.stdout is not None
        for line in process.stdout:
            if progress and re.match(r"(dl|pm)status:", line):
                progress.show(line)
            else:
                output.append(line)
    if progress:
        progress.end()
    if process.returncode != 0:
        info("".join(output))
    return process.returncode
