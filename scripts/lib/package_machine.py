"""Trying the packages in a virtual machine whose first process is systemd, where it can delegate cgroup v2 to the judge."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from lib import machine, nats_server, system_container
from lib.counts import BROKEN, Counts
from lib.project import ROOT, info

TIMEOUT_S = 60 * 60
# What the steps need, at the same places below /trial as here.
COPIES = ("scripts/lib", "samples")
START = "#!/bin/sh\nexec /lib/systemd/systemd\n"
UNIT = """[Unit]
Description=Trial of the packages
After=multi-user.target
SuccessAction=poweroff-force
FailureAction=poweroff-force

[Service]
Type=oneshot
WorkingDirectory=/trial/scripts
Environment=NATS_SERVER=/trial/nats-server
ExecStart=/usr/bin/python3 -m lib.package_trial /trial/packages
StandardOutput=file:/dev/ttyS0
StandardError=file:/dev/ttyS0
"""


def run(packages: list[Path], tarball: Path, kvm: bool) -> Counts:
    """Boot the machine with the packages on its disk, and return the counts that it prints."""
    machine.FOLDER.mkdir(parents=True, exist_ok=True)
    kernel = machine.kernel(None)
    with tempfile.TemporaryDirectory(dir=machine.FOLDER) as folder:
        disk, initial = Path(folder) / "disk", Path(folder) / "initial"
        root = Path(folder) / "root"
        root.mkdir()
        stage(root, [*packages, tarball])
        mkfs = machine.need("mkfs.ext4", "e2fsprogs")
        machine.output_of([mkfs, "-q", "-O", "^has_journal", "-m", "0", "-d", str(root), str(disk), f"{machine.DISK_MIB}M"])
        machine.pack_initial(kernel.modules, initial)
        info(f"booting {kernel.image.name}")
        output = machine.boot(kernel.image, initial, disk, kvm, TIMEOUT_S)
    found = re.search(r"^(\d+) passed, (\d+) failed", output, re.MULTILINE)
    return Counts(int(found[1]), int(found[2])) if found else BROKEN


def stage(root: Path, packages: list[Path]) -> None:
    """Put the files of the machine's disk into a folder: a minimal Debian, the packages, and the steps."""
    subprocess.run(["tar", "-xf", str(system_container.base()), "-C", str(root)], check=True)
    for folder in COPIES:
        shutil.copytree(ROOT / folder, root / "trial" / folder)
    shutil.copy(nats_server.ensure(), root / "trial/nats-server")
    for package in packages:
        (root / "trial/packages").mkdir(exist_ok=True)
        shutil.copy(package, root / "trial/packages")
    (root / "etc/hostname").write_text("trial\n", encoding="utf-8")
    (root / "etc/systemd/system/trial.service").write_text(UNIT, encoding="utf-8")
    wanted = root / "etc/systemd/system/multi-user.target.wants"
    wanted.mkdir(parents=True, exist_ok=True)
    (wanted / "trial.service").symlink_to("../trial.service")
    machine.add_program(root / "start", START)
