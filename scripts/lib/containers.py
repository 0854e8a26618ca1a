"""Podman with storage, networks and settings in a separate folder, and podman-compose: for scripts/test-containers."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from lib import debian, wheels
from lib.project import ROOT, Problem, environment, info

# The plugin dnsname lets containers of a network find each other by name.
PACKAGES = {"podman": "podman", "runc": "runc", "conmon": "conmon", "iptables": "iptables",
            "/usr/lib/cni/bridge": "containernetworking-plugins",
            "/usr/lib/cni/dnsname": "golang-github-containernetworking-plugin-dnsname", "dnsmasq": "dnsmasq-base"}
REQUIREMENTS = Path(__file__).resolve().parent / "compose-requirements.txt"
# Of cgroup v1: the hierarchies that a judge uses.
HIERARCHIES = ("memory", "pids", "cpuacct", "cpu")
CGROUPS = Path("/sys/fs/cgroup")


def install_packages() -> None:
    """Install podman and what it needs with apt-get, unless that is installed."""
    missing = [package for program, package in PACKAGES.items() if shutil.which(program) is None and not Path(program).exists()]
    if missing:
        debian.install(missing)


class Engine:
    """Podman in a folder. `close` removes everything that it made."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "containers.conf").write_text(
            '[engine]\nruntime = "runc"\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n'
            f'[network]\nnetwork_backend = "cni"\nnetwork_config_dir = "{folder}/networks"\n'
            # podman's own defaults exceed what root may set in some virtual machines.
            '[containers]\ndefault_ulimits = ["nofile=8192:8192", "nproc=4096:4096"]\n', encoding="utf-8")
        # A program with these options, for podman-compose.
        programs = folder / "bin"
        programs.mkdir()
        self.podman = programs / "podman"
        real = shutil.which("podman", path=environment()["PATH"])
        self.podman.write_text(f'#!/bin/sh\nexec {real} --root {folder}/root --runroot {folder}/run "$@"\n', encoding="utf-8")
        self.podman.chmod(0o755)
        self.env = {**environment(), "CONTAINERS_CONF": str(folder / "containers.conf")}
        self.env["PATH"] = f"{programs}{os.pathsep}{self.env['PATH']}"

    def run(self, *arguments: str, check: bool = True, quiet: bool = True) -> subprocess.CompletedProcess[str]:
        """Run podman; a Problem if it fails, unless `check` is False. Its output is captured if `quiet`."""
        done = subprocess.run([str(self.podman), *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE if quiet else 2,
                              stderr=subprocess.PIPE if quiet else None, text=True, errors="replace", env=self.env, check=False)
        if check and done.returncode != 0:
            raise Problem(f"`podman {' '.join(arguments)}` failed with {done.returncode}: {(done.stderr or '').strip()}")
        return done

    def build(self, tag: str, context: Path, *options: str) -> None:
        """Build an image from images that are in the storage."""
        info(f"building the image {tag}")
        self.run("build", "--quiet", "--isolation", "chroot", "--pull=never", "--layers", "--tag", tag, *options, str(context))

    def size(self, image: str) -> int:
        """The size of an image in bytes."""
        return int(self.run("image", "inspect", "--format", "{{.Size}}", image).stdout)

    def inspect(self, container: str, field: str) -> str:
        """A field of a container, such as `.State.Pid`."""
        return self.run("inspect", "--type", "container", "--format", f"{{{{{field}}}}}", container).stdout.strip()

    def close(self) -> None:
        """Remove containers, images and networks."""
        for arguments in (("rm", "--all", "--force", "--time", "0", "--volumes"), ("rmi", "--all", "--force"),
                          ("network", "prune", "--force"), ("volume", "prune", "--force")):
            self.run(*arguments, check=False)
        for mounted in sorted(mounts_below(self.folder), reverse=True):
            subprocess.run(["umount", "--lazy", mounted], check=False)
        shutil.rmtree(self.folder, ignore_errors=True)


def remove_network(name: str) -> None:
    """Remove what the network of a container that was killed leaves: its rules for addresses and ports, and its list of addresses."""
    def nat(*arguments: str) -> str:
        done = subprocess.run(["iptables", "--table", "nat", *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              check=False)
        return done.stdout

    # The plugins write the name into the comment of each rule, and give each container its own chains.
    own = [shlex.split(line)[1:] for line in nat("--list-rules").splitlines() if f'name: \\"{name}\\"' in line]
    for rule in own:
        nat("--delete", *rule)
    for chain in {chain for rule in own for chain in (rule[0], rule[-1]) if re.match(r"CNI-(DN-|SN-)?[0-9a-f]{8}", chain)}:
        nat("--flush", chain)
        nat("--delete-chain", chain)
    shutil.rmtree(f"/var/lib/cni/networks/{name}", ignore_errors=True)


def mounts_below(folder: Path) -> list[str]:
    """The mount points below a folder."""
    mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()]
    return [mount for mount in mounts if mount.startswith(f"{folder}/")]


class Compose:
    """A project of podman-compose, with the files of deploy/ and another one."""

    def __init__(self, engine: Engine, project: str, further: list[Path], settings: dict[str, str]) -> None:
        venv = engine.folder / "venv"
        if not wheels.has_venv():
            debian.install(["python3-venv"])
        for step in ([sys.executable, "-m", "venv", str(venv)],
                     [str(venv / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes",
                      "--requirement", str(REQUIREMENTS)]):
            if subprocess.run(step, stdin=subprocess.DEVNULL, stdout=2, check=False).returncode != 0:
                raise Problem(f"`{' '.join(step)}` failed (see above): check the network and PIP_INDEX_URL")
        files = [ROOT / "deploy" / "compose.yaml", *further]
        # One pod for all would share the network, which the containers must not.
        self._command = [str(venv / "bin" / "podman-compose"), "--in-pod", "false", "--project-name", project,
                         *(part for file in files for part in ("--file", str(file)))]
        self._env = {**engine.env, **settings}

    def run(self, *arguments: str, profiles: tuple[str, ...] = ("demo",), check: bool = True) -> None:
        """Run podman-compose in deploy/, where relative paths begin; a Problem with its output if it fails."""
        command = [*self._command, *(part for profile in profiles for part in ("--profile", profile)), *arguments]
        done = subprocess.run(command, cwd=ROOT / "deploy", env=self._env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, errors="replace", check=False)
        if check and done.returncode != 0:
            raise Problem(f"`podman-compose {' '.join(arguments)}` failed with {done.returncode}:\n{done.stdout}")


class JudgeGroups:
    """On a machine with cgroup v1: a folder for each judge in each hierarchy, which belongs to the root of its container."""

    def __init__(self, name: str, owners: dict[str, int]) -> None:
        self._tops = [CGROUPS / hierarchy / name for hierarchy in HIERARCHIES]
        for top in self._tops:
            for judge, owner in owners.items():
                (top / judge).mkdir(parents=True)
                os.chown(top / judge, owner, owner)

    def close(self) -> None:
        """Remove the folders; a judge that was killed leaves some."""
        for top in self._tops:
            for folder, _, _ in os.walk(top, topdown=False):
                try:
                    os.rmdir(folder)
                except OSError as error:
                    info(f"cannot remove {folder}: {error.strerror}")


def has_cgroup_v1() -> bool:
    """Whether the machine has the hierarchies of cgroup v1."""
    return all((CGROUPS / hierarchy / "cgroup.procs").exists() for hierarchy in HIERARCHIES)
