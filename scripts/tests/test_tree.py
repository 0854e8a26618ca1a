"""Tests of the tree itself."""

from __future__ import annotations

import subprocess
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lib.project import ROOT  # noqa: E402  (the scripts are no installed package)


class Links(unittest.TestCase):
    """Symbolic links under version control."""

    def test_links_lead_to_files_of_the_tree(self) -> None:
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                text=True, check=True).stdout.split("\0")
        files = {ROOT / each for each in listed if each}
        self.assertIn(ROOT / "README.md", files)
        links = {each for each in files if each.is_symlink()}
        folders = {parent for each in files - links for parent in each.parents}
        self.assertEqual([each for each in links if each.resolve() not in files | folders], [])


if __name__ == "__main__":
    unittest.main()
