"""The demo of the example app with a fake gavel and a fake Node.js: its address, its credentials, and how it ends."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest
import urllib.request
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from test_demo import SCRIPTS, alive  # noqa: E402  (the tests are no installed package)


class WebDemo(unittest.TestCase):
    def setUp(self) -> None:
        holder = tempfile.TemporaryDirectory(prefix="demo test ")
        self.addCleanup(holder.cleanup)
        self.folder = Path(holder.name)
        programs = self.folder / "bin"
        programs.mkdir()
        shutil.copy(SCRIPTS / "tests" / "fake_node", programs / "node")
        # In case the packages of convex/ are not installed.
        (programs / "npm").symlink_to("/bin/true")
        self.env = {**os.environ, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "TMPDIR": str(self.folder),
                    "FAKE_NOTES": str(self.folder / "gavel"), "FAKE_SETTINGS": str(self.folder / "settings"),
                    "FAKE_APP_NOTES": str(self.folder / "app"), "INGRESS_KEYS": "of-the-user"}

    def start(self, **env: str) -> subprocess.Popen[str]:
        command = [sys.executable, str(SCRIPTS / "demo"), "--web", "--gavel", str(SCRIPTS / "tests" / "fake_gavel")]
        return subprocess.Popen(command, env={**self.env, **env}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True)

    def shown(self, process: subprocess.Popen[str]) -> str:
        """The output up to the line after which the demo waits."""
        assert process.stdout is not None
        shown = ""
        for line in process.stdout:
            shown += line
            if "Press Ctrl-C to stop" in line:
                return shown
        self.fail(f"the demo ended: {shown}{process.stderr.read() if process.stderr else ''}")

    def ended(self, process: subprocess.Popen[str]) -> tuple[int, str]:
        """The exit code and the errors; everything must be stopped and removed."""
        _, errors = process.communicate(timeout=60)
        owner, child, _ = (self.folder / "gavel").read_text(encoding="utf-8").split(" ", 2)
        app = self.app()
        for name, pid in (("gavel up", owner), ("its child", child), ("the mock", app["owner"]), ("its child", app["child"])):
            self.assertFalse(alive(int(pid)), f"{name} is still running")
        self.assertEqual(list(self.folder.glob("gavel-demo-*")), [])
        return process.returncode, errors

    def app(self) -> dict[str, Any]:
        notes: dict[str, Any] = json.loads((self.folder / "app").read_text(encoding="utf-8"))
        return notes

    def test_one_address_and_matching_credentials(self) -> None:
        process = self.start()
        shown = self.shown(process)
        self.assertEqual(len(re.findall(r"http://\S+", shown)), 1, shown)
        self.assertIn("Convex is a mock", shown)
        settings = json.loads((self.folder / "settings").read_text(encoding="utf-8"))
        app = self.app()
        self.assertEqual(app["page"], "<p>page</p>")
        self.assertEqual(settings["CONVEX_SITE_URL"], f"http://127.0.0.1:{app['site']}")
        self.assertEqual(settings["CONVEX_ORDER"], "guarded")
        self.assertEqual(app["env"]["GAVEL_URL"], f"http://127.0.0.1:{settings['PORT']}")
        for of_gavel, of_app in (("INGRESS_KEYS", "GAVEL_KEY"), ("CONVEX_TOKEN", "GAVEL_TOKENS"),
                                 ("CONVEX_SIGNING_SECRETS", "GAVEL_SIGNING_SECRETS")):
            self.assertEqual(settings[of_gavel], app["env"][of_app])
            self.assertGreater(len(settings[of_gavel]), 40)
        process.send_signal(signal.SIGINT)
        self.assertEqual(self.ended(process)[0], 0)

    def test_exit_of_the_mock_ends_the_demo(self) -> None:
        process = self.start()
        url = re.findall(r"http://\S+", self.shown(process))[0]
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with self.assertRaises(OSError):
            opener.open(urllib.request.Request(url, method="POST"), timeout=10)
        code, errors = self.ended(process)
        self.assertEqual(code, 1)
        self.assertIn("the mock of Convex exited with 3; the end of its log:\n  │ a function threw an error", errors)

    def test_exit_of_gavel_ends_the_demo(self) -> None:
        process = self.start()
        self.shown(process)
        os.kill(int((self.folder / "gavel").read_text(encoding="utf-8").split()[0]), signal.SIGKILL)
        code, errors = self.ended(process)
        self.assertEqual(code, 1)
        self.assertIn("gavel up exited with -9; the end of its log:", errors)
        self.assertIn("│ gavel is up", errors)

    def test_page_that_does_not_build_is_reported(self) -> None:
        process = self.start(FAKE_BUILD_FAILS="1")
        _, errors = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 1)
        self.assertIn("the page did not build:\nerror in app.tsx", errors)
        self.assertEqual(list(self.folder.glob("gavel-demo-*")), [])


if __name__ == "__main__":
    unittest.main()
