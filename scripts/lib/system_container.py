"""A container whose first process is systemd, to try packages in: separate namespaces, removed with everything in them."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from lib import debian
from lib.project import ROOT, Problem, info
from lib.resource import Resource

CACHE = ROOT / "target" / "package"
PACKAGES = ("systemd", "systemd-sysv", "dbus", "ca-certificates", "python3")
SUITE = "bookworm"
START_SECONDS = 60
# Units that would change the machine's kernel, which the container shares.
MASKED = ("systemd-sysctl.service", "systemd-modules-load.service", "sys-kernel-debug.mount", "sys-kernel-tracing.mount")
# Runs as the first process of the new namespaces. Mounts must be shared: systemd passes credentials to units by mounting them.
ENTER = """
set -eu
root=$1
mount --make-rprivate /
mount --bind "$root" "$root"
mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs -o mode=755,nosuid tmpfs "$root/dev"
for device in null zero full random urandom tty; do
    touch "$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
mount -t tmpfs tmpfs "$root/dev/shm"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
mount -t tmpfs -o mode=755,nosuid tmpfs "$root/run"
cd "$root"
pivot_root . mnt
umount -l /mnt
mount --make-rshared /
exec env -i container=gavel PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd
"""


def base() -> Path:
    """The archive of a minimal Debian with systemd; made once by mmdebstrap."""
    archive = CACHE / f"{SUITE}.tar"
    if not archive.exists():
        if shutil.which("mmdebstrap") is None:
            debian.install(["mmdebstrap"])
        info(f"making a minimal Debian {SUITE} with mmdebstrap (takes some minutes, once)")
        CACHE.mkdir(parents=True, exist_ok=True)
        partial = archive.with_suffix(".partial.tar")
        command = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={','.join(PACKAGES)}", SUITE, str(partial)]
        if subprocess.run(command, stdin=subprocess.DEVNULL, check=False).returncode != 0:
            raise Problem("mmdebstrap failed (see above): check the network and apt's proxy setting")
        partial.rename(archive)
    return archive


class System:
    """A system that runs systemd: this machine, if it is no container."""

    root = Path("/")

    def command(self, *arguments: str) -> list[str]:
        """The command that runs a command there as root."""
        return ["env", "-i", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LC_ALL=C.UTF-8",
                *arguments]

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command there, and return its result with what it printed, errors included."""
        return subprocess.run(self.command(*arguments), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, errors="replace", check=False)

    def must(self, *arguments: str) -> str:
        """Run a command there, and return what it printed. A Problem if it fails."""
        done = self.run(*arguments)
        if done.returncode != 0:
            raise Problem(f"`{' '.join(arguments)}` failed with {done.returncode}: {done.stdout.strip()}")
        return done.stdout


class SystemContainer(Resource, System):
    """A running container; a context manager. It needs root."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="gavel-container-"))
        self.root = self._folder / "root"
        self._cgroup = cgroup2() / self._folder.name
        self._unshare: subprocess.Popen[bytes] | None = None
        self._systemd = 0

    def _start(self) -> None:
        """Unpack the base, start systemd, and wait until it has started its units."""
        self.root.mkdir()
        subprocess.run(["tar", "-xf", str(base()), "-C", str(self.root)], check=True)
        for unit in MASKED:
            (self.root / "etc/systemd/system" / unit).symlink_to("/dev/null")
        self._cgroup.mkdir()
        into_cgroup = f"echo $$ > {self._cgroup}/cgroup.procs; exec unshare --mount --pid --fork --uts --ipc --net --cgroup"
        command = ["sh", "-c", f"{into_cgroup} sh -c \"$0\" enter \"$1\"", ENTER, str(self.root)]
        self._unshare = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + START_SECONDS
        while not self._is_up():
            if self._unshare.poll() is not None or time.monotonic() > deadline:
                raise Problem("systemd did not start in the container")
            time.sleep(0.1)

    def _is_up(self) -> bool:
        """Whether systemd has started its units."""
        assert self._unshare is not None
        children = Path(f"/proc/{self._unshare.pid}/task/{self._unshare.pid}/children").read_text(encoding="utf-8").split()
        self._systemd = int(children[0]) if children else 0
        if not self._systemd or not (self.root / "run").exists():
            return False
        return self.run("systemctl", "is-system-running").stdout.strip() in ("running", "degraded")

    def command(self, *arguments: str) -> list[str]:
        """The command that runs a command in the container as root."""
        namespaces = ["--mount", "--pid", "--uts", "--ipc", "--net", "--cgroup"]
        return ["nsenter", "--target", str(self._systemd), *namespaces, "--root", "--wd", *super().command(*arguments)]

    def close(self) -> None:
        """Kill all processes of the container, and remove its files and cgroups."""
        if self._unshare is not None:
            if self._systemd:
                # With the first process of its namespace, the kernel kills all others.
                os.kill(self._systemd, signal.SIGKILL)
            self._unshare.kill()
            self._unshare.wait()
        if self._cgroup.exists():
            remove_cgroup(self._cgroup)
        shutil.rmtree(self._folder)


def cgroup2() -> Path:
    """Where cgroup v2 is mounted."""
    for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines():
        _, mount_point, kind, *_ = line.split()
        if kind == "cgroup2":
            return Path(mount_point)
    raise Problem("cgroup v2 is not mounted")


def remove_cgroup(group: Path) -> None:
    """Remove a cgroup with those below it, when the kernel has removed their processes."""
    deadline = time.monotonic() + 10
    for below in [*sorted(group.glob("**/"), reverse=True), group]:
        while below.exists():
            try:
                below.rmdir()
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
