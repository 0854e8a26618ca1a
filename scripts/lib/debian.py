"""apt-get, where it is allowed."""

from __future__ import annotations

import os
import shutil
import subprocess

from lib.project import Problem, say

def install(packages: list[str]) -> None:
    """apt-get install, as root or through sudo where it asks no password; else say what to run."""
    by_hand = f"sudo apt-get update && sudo apt-get install -y {' '.join(packages)}"
    if shutil.which("apt-get") is None:
        raise Problem(f"these are missing, and there is no apt-get here: install what Debian calls {' '.join(packages)}")
    prefix = privileged()
    if prefix is None:
        raise Problem(f"some packages are missing and this user may not install them; run\n  {by_hand}\nand then this again")
    say(f"installing {' '.join(packages)} with apt-get")
    options = ["-o", "DPkg::Lock::Timeout=300", "-qq"]
    # An update that fails in part (a broken third-party source) need not matter: the install decides.
    apt(prefix, [*options, "update"])
    if apt(prefix, [*options, "install", "-y", "--no-install-recommends", *packages]) != 0:
        raise Problem(f"apt-get could not install {' '.join(packages)}; run\n  {by_hand}\nand see what it says")


def privileged() -> list[str] | None:
    """What to put before a command so that it runs as root; None where that cannot be."""
    if os.geteuid() == 0:
        return []
    sudo = shutil.which("sudo")
    if sudo and subprocess.run([sudo, "-n", "true"], capture_output=True, stdin=subprocess.DEVNULL, check=False).returncode == 0:
        return [sudo, "-n"]
    return None


def apt(prefix: list[str], arguments: list[str]) -> int:
    """Run apt-get without questions, its output on stderr; the exit code."""
    command = [*prefix, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", *arguments]
    return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=2, check=False).returncode
