"""A disk whose power can be cut: writes that were not flushed are lost, as on a real one.

An ext4 file system in a file, mounted through a loop device. The cut is the file system's own shutdown without a flush of
its log (the call that the tests of Linux's file systems use): from then on no write reaches the device, dirty pages are
dropped, and the next mount replays the journal as after a crash. The write cache of a real disk, which it may lose despite
a flush, is not simulated.
"""

from __future__ import annotations

import fcntl
import os
import struct
import subprocess
from pathlib import Path

from lib.project import Problem

SIZE_BYTES = 1 << 30
# EXT4_IOC_SHUTDOWN, and its flag to drop unwritten data (include/uapi/linux/ext4.h, linux/fs.h).
SHUTDOWN = 0x8004587D
WITHOUT_FLUSH = struct.pack("I", 2)


def run(*command: str) -> None:
    """Run a system command; a Problem with its error message if it fails."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Problem(f"{' '.join(command)}: {done.stderr.strip() or done.returncode}")


class Disk:
    """The disk; a context manager that leaves nothing mounted."""

    def __init__(self, folder: Path, name: str) -> None:
        self.image = folder / f"{name}.img"
        self.mount_point = folder / name

    def __enter__(self) -> Disk:
        self.mount_point.mkdir()
        with open(self.image, "wb") as image:
            image.truncate(SIZE_BYTES)
        run("mkfs.ext4", "-q", "-F", str(self.image))
        self.mount()
        return self

    def mount(self) -> None:
        """Mount the disk, which replays its journal after a cut."""
        run("mount", "-o", "loop", str(self.image), str(self.mount_point))

    def cut(self) -> None:
        """Cut the power. Processes with open files on the disk get errors from now on."""
        root = os.open(self.mount_point, os.O_RDONLY)
        try:
            fcntl.ioctl(root, SHUTDOWN, WITHOUT_FLUSH)
        finally:
            os.close(root)

    def unmount(self) -> None:
        """Unmount the disk; no process may use it."""
        run("umount", str(self.mount_point))

    def __exit__(self, *_: object) -> None:
        if os.path.ismount(self.mount_point):
            run("umount", "-l", str(self.mount_point))
