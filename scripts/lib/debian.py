"""Packages installed with apt-get, if this user may."""

from __future__ import annotations

import os
import re
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
    info(f"installing {' '.join(packages)} with apt-get (may take some minutes)")
    options = ["-o", "DPkg::Lock::Timeout=300", "-qq"]
    # A partly failed update (a broken third-party source) may not matter: the install decides.
    apt(prefix, [*options, "update"])
    if apt(prefix, [*options, "install", "-y", "--no-install-recommends", *packages]) != 0:
        raise Problem(f"apt-get could not install {' '.join(packages)} (see above); to try it yourself, run\n  {by_hand}")


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


def apt(prefix: list[str], arguments: list[str]) -> int:
    """Run apt-get non-interactively; return the exit code, and show the output if it fails."""
    command = [*prefix, "env", "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C.UTF-8", "apt-get", *arguments]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace", check=False)
    if done.returncode != 0:
        info(done.stdout)
    return done.returncode
