"""Packages installed with apt-get, if this user may."""

from __future__ import annotations

import os
import shutil
import subprocess

from lib.project import Problem, info


def install(packages: list[str]) -> None:
    """Run apt-get install, as root or with sudo if it needs no password; otherwise a Problem with the command to run."""
    by_hand = f"sudo apt-get update && sudo apt-get install -y {' '.join(packages)}"
    if shutil.which("apt-get") is None:
        raise Problem(f"packages are missing and this system has no apt-get: install the equivalents of Debian's {' '.join(packages)}")
    prefix = privileged()
    if prefix is None:
        raise Problem(f"packages are missing and this user may not install them; run\n  {by_hand}\nthen run this again")
    info(f"installing {' '.join(packages)} with apt-get")
    options = ["-o", "DPkg::Lock::Timeout=300", "-qq"]
    # A partly failed update (a broken third-party source) may not matter: the install decides.
    apt(prefix, [*options, "update"])
    if apt(prefix, [*options, "install", "-y", "--no-install-recommends", *packages]) != 0:
        raise Problem(f"apt-get could not install {' '.join(packages)} (see above); to try it yourself, run\n  {by_hand}")


def privileged() -> list[str] | None:
    """The prefix that runs a command as root; None if this user may not."""
    if os.geteuid() == 0:
        return []
    sudo = shutil.which("sudo")
    if sudo and subprocess.run([sudo, "-n", "true"], capture_output=True, stdin=subprocess.DEVNULL, check=False).returncode == 0:
        return [sudo, "-n"]
    return None


def apt(prefix: list[str], arguments: list[str]) -> int:
    """Run apt-get non-interactively, with its output on stderr; return the exit code."""
    command = [*prefix, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", *arguments]
    return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=2, check=False).returncode
