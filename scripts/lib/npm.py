"""Packages installed with npm."""

from __future__ import annotations

import subprocess
from pathlib import Path

from lib.project import Problem, info


def install(packages: list[str], folder: Path, prefix: list[str]) -> None:
    """Install packages with exact versions into a folder. npm verifies the digests that its registry names."""
    info(f"installing {' '.join(packages)} with npm")
    command = [*prefix, "npm", "install", "--prefix", str(folder), "--no-audit", "--no-fund", "--save-exact",
               "--ignore-scripts", *packages]
    if subprocess.run(command, stdin=subprocess.DEVNULL, stdout=2, check=False).returncode != 0:
        raise Problem(f"npm could not install {' '.join(packages)} (see above): check the network and npm's registry setting")
