"""The languages: names select entries, and only missing packages are installed."""

from __future__ import annotations

import re
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lib import languages  # noqa: E402  (the scripts are no installed package)
from lib.project import ROOT, Problem  # noqa: E402


def language(key: str, toolchain: str, debian: list[str], npm: list[str] | None = None, suite: str = "") -> languages.Language:
    return languages.Language(key, key, [1], toolchain, debian, suite, npm or [])


class Choosing(unittest.TestCase):
    def test_keys_and_ids(self) -> None:
        self.assertEqual([each.key for each in languages.chosen(["Java", "73", "54", "cpp"])], ["java", "rust", "cpp"])

    def test_unknown_language_is_refused(self) -> None:
        with self.assertRaisesRegex(Problem, "cannot install the language zig.* c cpp .*SANDBOX_LANGUAGES"):
            languages.chosen(["zig"])

    def test_offered_languages_are_those_of_the_catalogue(self) -> None:
        catalogue = (ROOT / "crates" / "domain" / "src" / "catalogue" / "table.rs").read_text(encoding="utf-8")
        offered = re.findall(r"entry\((\d+),[^\n]*\.metric_label", catalogue)
        self.assertEqual(sorted(map(int, offered)), list(languages.OFFERED))
        chosen = languages.chosen([str(each) for each in languages.OFFERED])
        self.assertLess({"python2", "swift", "kotlin", "haskell"}, {each.key for each in chosen})

    def test_tests_exclude_large_toolchains(self) -> None:
        keys = {each.key for each in languages.table()}
        self.assertLess(languages.TOO_LARGE_FOR_TESTS, keys)
        self.assertEqual({each.key for each in languages.for_tests()}, keys - languages.TOO_LARGE_FOR_TESTS)


class Missing(unittest.TestCase):
    def setUp(self) -> None:
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.here = Path(holder.name) / "compiler"
        self.here.touch()
        self.gone = str(Path(holder.name) / "none")

    def test_only_missing_packages_are_listed(self) -> None:
        wanted = [language("a", str(self.here), ["one"]), language("b", self.gone, ["two", "three"]),
                  language("c", self.gone, ["three"])]
        self.assertEqual(languages.missing_packages(wanted), ["two", "three"])

    def test_compiler_without_headers_counts_as_missing(self) -> None:
        with mock.patch.dict(languages.FILES, {"headers": self.gone}):
            self.assertEqual(languages.missing_packages([language("a", str(self.here), ["headers"])]), ["headers"])

    def test_npm_is_added_if_missing(self) -> None:
        wanted = [language("t", self.gone, ["nodejs"], ["typescript@1"])]
        with mock.patch("shutil.which", return_value=None):
            self.assertEqual(languages.missing_packages(wanted), ["nodejs", "npm"])
        with mock.patch("shutil.which", return_value="/usr/bin/npm"):
            self.assertEqual(languages.missing_packages(wanted), ["nodejs"])

    def test_packages_of_another_release_are_not_installed_with_the_systems_apt(self) -> None:
        wanted = [language("old", self.gone, ["python2.7"], suite="bullseye"), language("a", self.gone, ["one"])]
        self.assertEqual(languages.missing_packages(wanted), ["one"])
        self.assertEqual(wanted[0].packages(), "python2.7 (Debian bullseye)")
