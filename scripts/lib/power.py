"""A disk of one's own whose power can be cut: what was not written out by then is gone, as on a real one.

An ext4 in a file, mounted through a loop device. The cut is the file system's own shutdown without a flush of its log
(the call that the tests of Linux's file systems use): from that moment on nothing more reaches the device, whatever is
still in memory is dropped, and the next mount replays the journal as after a crash. What a real disk holds in a cache
of its own and loses in spite of a flush, this one does not lose.
"""

from __future__ import annotations

import fcntl
import os
import struct
import subprocess
from pathlib import Path

from lib.project import Problem

SIZE_BYTES = 1 << 30
# EXT4_IOC_SHUTDOWN and its flag for "drop everything" (include/uapi/linux/ext4.h, linux/fs.h).
SHUTDOWN = 0x8004587D
WITHOUT_FLUSH = struct.pack("I", 2)


def run(*command: str) -> None:
    """Run a command of the system; a Problem with its words where it fails."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Problem(f"{' '.join(command)}: {done.stderr.strip() or done.returncode}")


class Disk:
    """The disk. Use it as a context: nothing stays mounted."""

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
        """Mount it, replaying its journal where it was cut."""
        run("mount", "-o", "loop", str(self.image), str(self.mount_point))

    def cut(self) -> None:
        """Take the power away. Whoever has files open there sees errors from now on."""
        root = os.open(self.mount_point, os.O_RDONLY)
        try:
            fcntl.ioctl(root, SHUTDOWN, WITHOUT_FLUSH)
        finally:
            os.close(root)

    def unmount(self) -> None:
        """Take it off, once nobody uses it."""
        run("umount", str(self.mount_point))

    def __exit__(self, *_: object) -> None:
        if os.path.ismount(self.mount_point):
            run("umount", "-l", str(self.mount_point))
