"""The packages: the files that they contain, and the same bytes each time."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import unittest
from pathlib import Path
from typing import Any
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lib import cargo_tools, licences, manual_pages, packaging  # noqa: E402  (the scripts are no installed package)
from lib.project import Problem, find, parse_version  # noqa: E402

EPOCH = 1_700_000_000
HELP = """Queues submissions.

Usage: gavel-x [--help | --version]

Environment variables, with their defaults in brackets:

  PORT [4001]
      port to listen on; 0 picks a free port
  NATS_CA
      path of a PEM file

To read a secret from a file, set NAME_FILE.

Exit codes: 0 clean shutdown, 1 failure.
"""


def output_of(_: Path, *arguments: str) -> str:
    """What the fake `gavel` prints and writes."""
    if arguments[:2] == ("man", "--out"):
        for page in ("gavel.1", "gavel-dead-list.1"):
            (Path(arguments[2]) / page).write_text(page, encoding="utf-8")
    return HELP if arguments == ("--help",) else f"{arguments[0]}\n"


def has_tool(name: str) -> bool:
    """Whether the pinned version of a tool is installed; no test builds it, which takes minutes."""
    found = find(name)
    return found is not None and cargo_tools.installed_version(found, name) == parse_version(cargo_tools.PINNED[name])


class Packages(unittest.TestCase):
    def setUp(self) -> None:
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = Path(holder.name)
        self.binaries = self.folder / "binaries"
        self.binaries.mkdir()
        for name in packaging.PROGRAMS:
            shutil.copy("/bin/true", self.binaries / name)
        if not has_tool("cargo-cyclonedx"):
            self.replace("sbom", lambda seconds: "{}")
        self.replace("output_of", output_of)

    def replace(self, name: str, value: Any) -> None:
        """Replace a function for this test."""
        patch = mock.patch.object(packaging, name, value)
        patch.start()
        self.addCleanup(patch.stop)

    def staged(self, name: str) -> Path:
        """The files of the packages in a new folder, with other times."""
        root = self.folder / name
        packaging.stage(self.binaries, root, EPOCH)
        for file in root.rglob("*"):
            os.utime(file, (EPOCH + len(name), EPOCH + len(name)))
        return root

    def test_tarball_has_the_same_bytes_each_time(self) -> None:
        archives = []
        for name in ("first", "second run"):
            out = self.folder / f"out {name}"
            out.mkdir()
            archives.append(packaging.tarball(self.staged(name), out, EPOCH))
        self.assertEqual(archives[0].read_bytes(), archives[1].read_bytes())

    def test_tarball_has_programs_units_settings_and_closed_folders_for_secrets(self) -> None:
        with tarfile.open(packaging.tarball(self.staged("root"), self.folder, EPOCH)) as archive:
            entries = {entry.name: entry for entry in archive.getmembers()}
        self.assertEqual({entry.uid for entry in entries.values()}, {0})
        self.assertEqual({entry.mtime for entry in entries.values()}, {EPOCH})
        for service in packaging.SERVICES:
            self.assertEqual(entries[f"usr/bin/gavel-{service}"].mode, 0o755)
            self.assertEqual(entries[f"etc/gavel/secrets/{service}"].mode, 0o700)
            for file in (f"usr/lib/systemd/system/gavel-{service}.service", f"etc/gavel/{service}.env"):
                self.assertEqual(entries[file].mode, 0o644)
        pages = [f"usr/share/man/{page}.gz" for page in ("man1/gavel.1", "man1/gavel-dead-list.1", "man8/gavel-judge.8")]
        for file in (*pages, *packaging.COMPLETIONS.values(), "usr/lib/sysusers.d/gavel.conf",
                     *(f"{packaging.DOC}/{name}" for name in ("default.env", "changelog.gz", "gavel.cdx.json"))):
            self.assertIn(file, entries)

    @unittest.skipUnless(has_tool("cargo-deb") and shutil.which("dpkg-shlibdeps"), "needs scripts/tools --package")
    def test_deb_has_the_same_bytes_each_time_and_keeps_edited_settings(self) -> None:
        packages = []
        for name in ("first", "second run"):
            out = self.folder / f"out {name}"
            out.mkdir()
            packages.append(packaging.deb(self.staged(name), out, "1", EPOCH, fast=True))
        self.assertEqual(packages[0].read_bytes(), packages[1].read_bytes())
        self.assertIn(f"_{packaging.version()}-1_", packages[0].name)
        control = self.folder / "control"
        subprocess.run(["dpkg-deb", "--control", str(packages[0]), str(control)], check=True)
        kept = (control / "conffiles").read_text(encoding="utf-8").split()
        self.assertEqual(sorted(kept), sorted(f"/etc/gavel/{name}.env" for name in ("common", *packaging.SERVICES)))
        fields = (control / "control").read_text(encoding="utf-8")
        # Calls to Convex need the certificate authorities. The first line of the description must not be wrapped.
        self.assertRegex(fields, r"(?m)^Depends: (.+, )?ca-certificates, .*systemd \(>= 252\)$")
        self.assertRegex(fields, r"(?m)^Description: Judge code submissions on NATS JetStream\n Gavel judges")
        for script in ("postinst", "prerm", "postrm"):
            subprocess.run(["sh", "-n", str(control / script)], check=True)

    def test_missing_program_is_named(self) -> None:
        (self.binaries / "gavel-judge").unlink()
        with self.assertRaisesRegex(Problem, "lacks gavel-judge"):
            self.staged("root")

    def test_time_is_that_of_the_environment(self) -> None:
        with mock.patch.dict(os.environ, {"SOURCE_DATE_EPOCH": "1700000000"}):
            self.assertEqual(packaging.epoch(), EPOCH)
        with mock.patch.dict(os.environ, {"SOURCE_DATE_EPOCH": "yesterday"}), self.assertRaises(Problem):
            packaging.epoch()


class ManualPages(unittest.TestCase):
    def test_page_of_a_service_has_its_settings_and_notes(self) -> None:
        page = manual_pages.of_service("judge", "1.2.3", HELP)
        self.assertIn('.TH GAVEL-JUDGE 8 "" "gavel 1.2.3"', page)
        self.assertIn(".SH NAME\ngavel\\-judge \\- queues submissions\n", page)
        self.assertIn(".TP\n\\fBPORT\\fR [4001]\nport to listen on; 0 picks a free port\n.TP\n\\fBNATS_CA\\fR\npath", page)
        self.assertIn(".PP\nExit codes: 0 clean shutdown, 1 failure.\n.SH ENVIRONMENT\n", page)

    def test_help_in_another_form_is_a_problem(self) -> None:
        for printed in ("", "Queues submissions.\n", HELP.replace("\n      ", " ")):
            with self.assertRaisesRegex(Problem, "gavel-judge --help` does not list its settings"):
                manual_pages.of_service("judge", "1.2.3", printed)

    def test_text_is_not_interpreted(self) -> None:
        self.assertEqual(manual_pages.text(".a-b\\c"), "\\&.a\\-b\\ec")


class Licences(unittest.TestCase):
    def test_dependencies_of_the_programs_are_listed_with_their_texts(self) -> None:
        document = licences.document({"gavel-ingress"})
        self.assertRegex(document, r"(?m)^tokio \d+\.\d+\.\d+: MIT \(")
        self.assertIn("Permission is hereby granted, free of charge", document)
        self.assertNotIn("insta ", document, "a dependency of tests")
        self.assertNotIn("gavel-bus", document, "a crate of this workspace")

    def test_dependency_without_a_licence_is_a_problem(self) -> None:
        package = {"id": "a", "name": "a", "version": "1.0.0", "source": "registry", "license": None, "license_file": None,
                   "manifest_path": __file__}
        program = {**package, "id": "p", "name": "p", "source": None}
        node = {"id": "p", "deps": [{"pkg": "a", "dep_kinds": [{"kind": None}]}]}
        known = {"packages": [package, program], "resolve": {"nodes": [node, {"id": "a", "deps": []}]}}
        with mock.patch.object(licences, "metadata", lambda: known), self.assertRaisesRegex(Problem, "declare no licence: a"):
            licences.document({"p"})


if __name__ == "__main__":
    unittest.main()
