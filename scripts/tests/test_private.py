"""Toolchains in private folders: unpacked, prepared and marked, and repaired after an interruption."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lib import debian, languages, npm, private  # noqa: E402  (the scripts are no installed package)
from lib.project import Problem  # noqa: E402

APT_GET = """#!/bin/sh
echo "$@" >> "$LOG"
cat sources.list >> "$LOG"
case "$*" in *" update") grep -q "$MIRROR" sources.list; exit;; esac
touch old.deb
"""
DPKG_DEB = """#!/bin/sh
mkdir -p "$3/bin" && echo unpacked > "$3/bin/tool"
"""
NPM = """#!/bin/sh
echo "npm $@" >> "$LOG"
[ "$REGISTRY" = reachable ] && [ -f "$3/package.json" ] && [ -f "$3/package-lock.json" ] && mkdir -p "$3/node_modules"
"""


class Private(unittest.TestCase):
    def setUp(self) -> None:
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = Path(holder.name)
        self.log = self.folder / "log"
        self.log.touch()
        (self.folder / "programs").mkdir()
        for name, text in (("apt-get", APT_GET), ("dpkg-deb", DPKG_DEB), ("npm", NPM)):
            self.script(self.folder / "programs" / name, text)
        (self.folder / "scripts").mkdir()
        keyring = self.folder / "keyring"
        keyring.touch()
        path = os.pathsep.join([str(self.folder / "programs"), os.environ["PATH"]])
        variables = {"PATH": path, "LOG": str(self.log), "MIRROR": "deb.debian.org", "REGISTRY": "reachable"}
        for patch in (mock.patch.dict(os.environ, variables), mock.patch.object(private, "PARENT", self.folder / "gavel"),
                      mock.patch.object(private, "SCRIPTS", self.folder / "scripts"),
                      mock.patch.object(private, "NPM", self.folder / "npm"),
                      mock.patch.object(debian, "TOOLS", self.folder / "tools"), mock.patch.object(debian, "KEYRING", keyring),
                      mock.patch.object(debian, "privileged", mock.Mock(return_value=[]))):
            patch.start()
            self.addCleanup(patch.stop)
        self.old = private.Toolchain("old", "bullseye", ["old", "library"], False)

    def script(self, path: Path, text: str) -> None:
        path.write_text(text, encoding="utf-8")
        path.chmod(0o755)

    def test_packages_of_a_release_are_unpacked(self) -> None:
        self.assertFalse(self.old.is_installed())
        self.old.install()
        self.assertTrue(self.old.is_installed())
        self.assertTrue((self.folder / "gavel" / "old" / "bin" / "tool").exists())
        log = self.log.read_text(encoding="utf-8")
        self.assertRegex(log, r"download old library\n")
        self.assertIn(f"deb [signed-by={self.folder / 'keyring'}] http://deb.debian.org/debian bullseye main\n", log)
        self.assertIn("Dir::Etc::SourceParts=- ", log)
        self.assertEqual(list((self.folder / "tools").iterdir()), [])

    def test_release_that_was_archived_is_found(self) -> None:
        with mock.patch.dict(os.environ, {"MIRROR": "archive.debian.org"}):
            self.old.install()
        self.assertTrue(self.old.is_installed())

    def test_unreachable_release_is_named_and_leaves_the_installed_toolchain(self) -> None:
        self.old.install()
        newer = private.Toolchain("old", "bullseye", ["old"], False)
        self.assertFalse(newer.is_installed())
        with mock.patch.dict(os.environ, {"MIRROR": "none"}), \
                self.assertRaisesRegex(Problem, "Debian bullseye from http://deb.debian.org/debian or .*check the network"):
            newer.install()
        self.assertTrue(self.old.is_installed())

    def test_script_prepares_the_folder_and_is_repeated_after_a_failure(self) -> None:
        script = self.folder / "scripts" / "old"
        self.script(script, "#!/bin/sh\ntouch begun; exit 1\n")
        with self.assertRaisesRegex(Problem, "scripts/old` failed"):
            self.old.install()
        self.assertTrue((self.folder / "gavel" / "old" / "begun").exists())
        self.assertFalse(self.old.is_installed())
        self.script(script, "#!/bin/sh\ncat bin/tool > prepared\n")
        self.old.install()
        self.assertEqual((self.folder / "gavel" / "old" / "prepared").read_text(encoding="utf-8"), "unpacked\n")
        self.assertFalse((self.folder / "gavel" / "old" / "begun").exists())
        self.assertTrue(self.old.is_installed())
        self.script(script, "#!/bin/sh\n")
        self.assertFalse(self.old.is_installed(), "prepared by another script")

    def test_folder_is_prepared_again_after_an_input_changed(self) -> None:
        tool = self.folder / "tool"
        tool.write_text("1", encoding="utf-8")
        self.script(self.folder / "scripts" / "fast", f"#!/bin/sh\nstat -c '%s %Y %n' '{tool}' > inputs\n")
        fast = private.Toolchain("fast", "", [], False)
        self.assertTrue(fast.is_optional() and not self.old.is_optional())
        fast.install()
        self.assertTrue(fast.is_installed())
        tool.write_text("12", encoding="utf-8")
        self.assertFalse(fast.is_installed(), "another size")
        fast.install()
        self.assertTrue(fast.is_installed())
        os.utime(tool, (1, 1))
        self.assertFalse(fast.is_installed(), "another time")
        tool.unlink()
        self.assertFalse(fast.is_installed(), "no longer there")

    def test_language_without_what_makes_it_faster_is_installed(self) -> None:
        self.script(self.folder / "scripts" / "sh", "#!/bin/sh\ntouch faster\n")
        language = languages.Language("sh", "Shell", [1], "/bin/sh", [], "", [])
        self.assertTrue(language.is_installed())
        with mock.patch.object(debian, "privileged", mock.Mock(return_value=None)):
            languages.install_private([language])
        self.assertFalse((self.folder / "gavel" / "sh").exists())
        languages.install_private([language])
        self.assertTrue((self.folder / "gavel" / "sh" / "faster").exists())
        self.assertEqual(languages.missing_packages([language]), [])

    def test_npm_packages_are_installed_from_the_lock_file_without_scripts(self) -> None:
        lock = self.folder / "npm" / "new" / "package-lock.json"
        lock.parent.mkdir(parents=True)
        lock.with_name("package.json").touch()
        lock.write_text('{"packages": {"": {"dependencies": {"compiler": "1.2.3"}}}}', encoding="utf-8")
        new = private.Toolchain("new", "", [], True)
        with mock.patch.dict(os.environ, {"REGISTRY": "unreachable"}), \
                self.assertRaisesRegex(Problem, r"`npm ci .*` failed \(see above\): check the network"):
            new.install()
        self.assertFalse(new.is_installed())
        new.install()
        self.assertTrue(new.is_installed())
        self.assertRegex(self.log.read_text(encoding="utf-8"), r"npm ci --prefix \S+ --ignore-scripts ")
        lock.write_text(lock.read_text(encoding="utf-8") + "\n", encoding="utf-8")
        self.assertFalse(new.is_installed(), "installed from another lock file")

    def test_lock_files_have_the_packages_of_the_table_and_their_digests(self) -> None:
        for language in languages.table():
            if language.npm:
                lock = private.ROOT / "scripts" / "toolchains" / "npm" / language.key / "package-lock.json"
                self.assertEqual(sorted(npm.locked(lock)), sorted(language.npm))
                for path, package in json.loads(lock.read_text(encoding="utf-8"))["packages"].items():
                    self.assertTrue(path == "" or package["integrity"].startswith("sha512-"), path)
                    self.assertFalse(package.get("hasInstallScript"), path)

    def test_user_without_rights_gets_an_error(self) -> None:
        with mock.patch.object(debian, "privileged", mock.Mock(return_value=None)), \
                self.assertRaisesRegex(Problem, r"may not write .*gavel/old: run this as root, or with a sudo"):
            self.old.install()
