"""A virtual machine with Debian's kernel and packages of this system, in qemu. It runs a script as root and powers off.

Emulated, its processor executes one instruction per nanosecond of the machine's own clock, and the clock stands still while
the host does other work: what the machine measures does not depend on the host's speed and load.
"""

from __future__ import annotations

import lzma
import os
import re
import shutil
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import NamedTuple

from lib.project import TOOLS, Problem

FOLDER = TOOLS / "vm"
MEMORY_MIB = 4096
# The size of the disk; the file is sparse.
DISK_MIB = 4096
# The kernel modules for the disk, in addition to those that they depend on.
MODULES = ("virtio_pci", "virtio_blk", "crc32c_generic", "ext4")
EXCLUDED = ("/usr/share/doc", "/usr/share/man", "/usr/share/locale", "/usr/share/info", "/usr/lib/debug")
# Created by packages when they are installed: without these files, every start of Python compiles its library.
GENERATED = "usr/lib/python3*/**/__pycache__/*.pyc"

INIT = """#!/bin/busybox sh
for module in /modules/*.ko; do /bin/busybox insmod $module; done
/bin/busybox mount -t devtmpfs dev /dev
until [ -e /dev/vda ]; do /bin/busybox sleep 0.1; done
/bin/busybox mount -t ext4 /dev/vda /root && exec /bin/busybox switch_root /root /start
"""

START = """#!/bin/busybox sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/ RUST_BACKTRACE=0
cd /
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
mount -t cgroup2 cgroup2 /sys/fs/cgroup
ip link set lo up
# The clock leaps to the next timer while the processor has nothing to do: nothing may wait for the disk.
find /usr /etc /tests -type f -exec cat {} + > /dev/null
. /script
poweroff -f
"""


class Kernel(NamedTuple):
    """A kernel's image, and its modules in the order in which they can be loaded."""

    image: Path
    modules: list[Path]


def output_of(command: list[str]) -> str:
    """The output of a command; a Problem if it fails."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise Problem(f"{' '.join(command)} failed (see above)")
    return done.stdout


def need(program: str, package: str) -> str:
    """The path of a program; a Problem that names its package if it is missing."""
    found = shutil.which(program, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")
    if found is None:
        raise Problem(f"{program} is missing: run sudo apt-get install {package}")
    return found


def kernel(package: str | None) -> Kernel:
    """The kernel of a Debian package; by default the cloud kernel of this release."""
    if package is None:
        depends = output_of(["apt-cache", "depends", "linux-image-cloud-amd64"])
        match = re.search(r"Depends: (linux-image-\S+)", depends)
        if match is None:
            raise Problem("apt has no package linux-image-cloud-amd64: run sudo apt-get update, or name a package with --kernel")
        package = match.group(1)
    folder = FOLDER / package
    if not list(folder.glob("boot/vmlinuz-*")):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as download:
            subprocess.run(["apt-get", "download", package], cwd=download, stdout=2, check=False)
            packages = list(Path(download).glob("*.deb"))
            if not packages:
                raise Problem(f"apt-get could not download {package}")
            subprocess.run(["dpkg-deb", "-x", str(packages[0]), str(folder)], check=True)
    return Kernel(next(folder.glob("boot/vmlinuz-*")), in_load_order(folder))


def in_load_order(folder: Path) -> list[Path]:
    """The files of MODULES and of the modules that they depend on. A module without a file is part of the kernel."""
    files = {path.name.split(".")[0].replace("-", "_"): path for path in folder.rglob("*.ko*")}
    ordered: list[Path] = []

    def add(name: str) -> None:
        path = files.get(name)
        if path is None or path in ordered:
            return
        depends = re.search(rb"\0depends=([^\0]+)\0", module_bytes(path))
        for other in depends.group(1).decode().split(",") if depends else ():
            add(other.replace("-", "_"))
        ordered.append(path)

    for name in MODULES:
        add(name)
    return ordered


def module_bytes(path: Path) -> bytes:
    """The content of a module, without its compression."""
    content = path.read_bytes()
    return lzma.decompress(content) if path.suffix == ".xz" else content


def system_files(packages: list[str]) -> list[str]:
    """The files of the packages and of their dependencies."""
    options = ["--recurse", "--installed", "--no-recommends", "--no-suggests", "--no-enhances", "--no-conflicts",
               "--no-breaks", "--no-replaces"]
    lines = output_of(["apt-cache", "depends", *options, *packages]).splitlines()
    here = set(output_of(["dpkg-query", "-W", "-f", "${Package}\n"]).split())
    names = sorted({line for line in lines if line and line[0] not in " |<"} & here)
    listed = output_of(["dpkg-query", "--listfiles", *names]).splitlines()
    paths = {os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))
             for path in listed if path.startswith("/") and not path.startswith(EXCLUDED)}
    kept = {path for path in paths if os.path.islink(path) or os.path.isfile(path)}
    commands = (path for path in Path("/usr/bin").iterdir() if path.is_symlink() and os.readlink(path).startswith("/etc/alternatives/"))
    others = [*Path("/etc/alternatives").iterdir(), *commands, *Path("/").glob(GENERATED),
              *map(Path, ("/bin", "/sbin", "/lib", "/lib64", "/etc/ld.so.cache", "/etc/passwd", "/etc/group"))]
    return sorted({*kept, *(str(path) for path in others if os.path.lexists(path))})


def pack_disk(packages: list[str], copies: dict[str, Path], script: str, target: Path) -> None:
    """Create the machine's disk: the files of the packages, copies of files and folders at other paths, and the script."""
    with tempfile.TemporaryDirectory(dir=FOLDER) as staged:
        root = Path(staged)
        root.chmod(0o755)
        # With absolute names, cp --parents looks for the copied directories in the wrong place.
        names = "\0".join(path.lstrip("/") for path in system_files(packages))
        copy = subprocess.run(["xargs", "-0", "cp", "-a", "--parents", "--target-directory", staged], cwd="/", input=names,
                              text=True, check=False)
        if copy.returncode != 0:
            raise Problem("cannot copy the system's files (see above)")
        for folder in ("proc", "sys", "dev", "tmp", "var/tmp", "root", "home", "run"):
            (root / folder).mkdir(parents=True, exist_ok=True)
        (root / "tmp").chmod(0o1777)
        for path, source in copies.items():
            inside = root / path.lstrip("/")
            inside.parent.mkdir(parents=True, exist_ok=True)
            shutil.copytree(source, inside) if source.is_dir() else shutil.copy(source, inside)
        busybox = add_busybox(root / "usr/bin")
        # busybox provides the commands that the packages do not.
        for applet in output_of([busybox, "--list"]).split():
            if not any(os.path.lexists(root / place / applet) for place in ("usr/bin", "usr/sbin")):
                (root / "usr/bin" / applet).symlink_to("busybox")
        (root / "script").write_text(script)
        add_program(root / "start", START)
        target.unlink(missing_ok=True)
        output_of([need("mkfs.ext4", "e2fsprogs"), "-q", "-O", "^has_journal", "-m", "0", "-d", staged, str(target),
                   f"{DISK_MIB}M"])


def pack_initial(modules: list[Path], target: Path) -> None:
    """Create the initial file system, which loads the modules and continues on the disk."""
    with tempfile.TemporaryDirectory(dir=FOLDER) as staged:
        root = Path(staged)
        for folder in ("bin", "modules", "dev", "root"):
            (root / folder).mkdir()
        busybox = add_busybox(root / "bin")
        for number, module in enumerate(modules):
            (root / "modules" / f"{number:02}-{module.name.split('.')[0]}.ko").write_bytes(module_bytes(module))
        add_program(root / "init", INIT)
        names = "\n".join(str(path.relative_to(root)) for path in sorted(root.rglob("*")))
        with target.open("wb") as image:
            packed = subprocess.run([busybox, "cpio", "-o", "-H", "newc"], cwd=root, input=names.encode(), stdout=image,
                                    stderr=subprocess.DEVNULL, check=False)
        if packed.returncode != 0:
            raise Problem("cannot pack the machine's initial file system")


def add_busybox(folder: Path) -> str:
    """Copy busybox into a folder; return its path on this system."""
    busybox = need("busybox", "busybox-static")
    shutil.copy(busybox, folder / "busybox")
    return busybox


def add_program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def boot(image: Path, initial: Path, disk: Path, kvm: bool, timeout_s: int) -> str:
    """Run the machine until it powers off, show its console with the elapsed time, and return the output."""
    qemu = need("qemu-system-x86_64", "qemu-system-x86")
    # With an instruction counter, qemu emulates one processor at a time. This model has no AVX, whose emulation is slower than
    # what it replaces.
    processor = ["-accel", "kvm", "-cpu", "host", "-smp", "2"] if kvm else \
        ["-accel", "tcg,thread=single,tb-size=512", "-cpu", "Nehalem", "-icount", "shift=0,sleep=off", "-smp", "1"]
    command = [qemu, *processor, "-m", str(MEMORY_MIB), "-nodefaults", "-nographic", "-no-reboot", "-serial", "stdio",
               "-drive", f"if=virtio,format=raw,cache=unsafe,file={disk}", "-kernel", str(image), "-initrd", str(initial),
               "-append", "console=ttyS0 loglevel=2 no_timer_check tsc=reliable panic=-1 mitigations=off random.trust_cpu=on edd=off"]
    output = []
    began = time.monotonic()
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, errors="replace") as machine:
        limit = threading.Timer(timeout_s, machine.kill)
        limit.start()
        try:
            for line in machine.stdout or ():
                elapsed = int(time.monotonic() - began)
                print(f"{elapsed // 60:4}:{elapsed % 60:02} {line.rstrip()}", flush=True)
                output.append(line.replace("\r", ""))
        finally:
            limit.cancel()
            machine.kill()
    return "".join(output)
