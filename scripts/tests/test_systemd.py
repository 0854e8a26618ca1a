"""The systemd units and the configuration that the package installs: valid, hardened, and with known settings only."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lib.project import ROOT  # noqa: E402  (the scripts are no installed package)

FOLDER = ROOT / "deploy" / "systemd"
SERVICES = ("ingress", "fetcher", "judge", "reporter")
SYSTEM_UNITS = Path("/usr/lib/systemd/system")
# The exposure that `systemd-analyze security` may find, in tenths. The judge starts the sandbox: it needs namespaces and
# mounts, and a filter of its own would change what programs can do.
HIGHEST_EXPOSURE = {"ingress": 15, "fetcher": 15, "reporter": 15, "judge": 65}


def unit(service: str) -> Path:
    """The unit of a service."""
    return FOLDER / f"gavel-{service}.service"


def values(service: str, option: str) -> list[str]:
    """The values of an option in the unit of a service."""
    return re.findall(rf"^{option}=(.*)$", unit(service).read_text(encoding="utf-8"), re.MULTILINE)


def environment(file: Path) -> dict[str, str]:
    """The variables in a file of environment variables, with those that are commented out."""
    return dict(re.findall(r"^#?([A-Z0-9_]+)=(.*)$", file.read_text(encoding="utf-8"), re.MULTILINE))


@unittest.skipUnless(shutil.which("systemd-analyze"), "systemd is not installed")
class Units(unittest.TestCase):
    def verify(self, texts: dict[str, str]) -> str:
        """Verify units in a root with their programs, and return what systemd-analyze complains about."""
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        root = Path(holder.name)
        for folder in ("usr/bin", "usr/lib/systemd/system", "etc/systemd/system"):
            (root / folder).mkdir(parents=True)
        for kind in ("target", "slice"):
            for standard in SYSTEM_UNITS.glob(f"*.{kind}"):
                shutil.copy(standard, root / "usr/lib/systemd/system", follow_symlinks=False)
        for name, text in texts.items():
            shutil.copy(sys.executable, root / "usr" / "bin" / name)
            (root / "etc/systemd/system" / f"{name}.service").write_text(text, encoding="utf-8")
        units = [str(root / "etc/systemd/system" / f"{name}.service") for name in texts]
        done = subprocess.run(["systemd-analyze", "verify", "--man=no", f"--root={root}", *units], capture_output=True, text=True,
                              check=False)
        return done.stdout + done.stderr

    def test_all_are_valid(self) -> None:
        self.assertEqual(self.verify({f"gavel-{service}": unit(service).read_text(encoding="utf-8") for service in SERVICES}), "")

    def test_invalid_option_is_found(self) -> None:
        text = unit("judge").read_text(encoding="utf-8").replace("WatchdogSec=", "WatchDogSec=")
        self.assertIn("WatchDogSec", self.verify({"gavel-judge": text}))

    def test_exposure_is_limited(self) -> None:
        for service, highest in HIGHEST_EXPOSURE.items():
            with self.subTest(service):
                command = ["systemd-analyze", "security", "--offline=true", f"--threshold={highest}", "--no-pager", str(unit(service))]
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                self.assertEqual(done.returncode, 0, done.stdout[-200:] + done.stderr)


class Configuration(unittest.TestCase):
    def test_each_service_has_a_unit_and_a_user_of_its_own(self) -> None:
        self.assertEqual({file.name for file in FOLDER.glob("*.service")}, {unit(service).name for service in SERVICES})
        users = re.findall(r"^u (\S+)", (FOLDER / "gavel.sysusers").read_text(encoding="utf-8"), re.MULTILINE)
        self.assertEqual(users, [user for service in SERVICES for user in values(service, "User")])
        self.assertEqual(users, [f"gavel-{service}" for service in SERVICES])

    def test_units_read_the_files_that_exist(self) -> None:
        for service in SERVICES:
            files = [Path(file).name for file in values(service, "EnvironmentFile")]
            self.assertEqual(files, ["common.env", f"{service}.env"])
            for file in files:
                self.assertTrue((FOLDER / "etc" / file).is_file(), file)

    def test_every_setting_is_known(self) -> None:
        known = environment(ROOT / "deploy" / "default.env").keys()
        self.assertGreater(len(known), 50)
        for file in sorted((FOLDER / "etc").glob("*.env")):
            for name in environment(file):
                with self.subTest(f"{file.name}: {name}"):
                    self.assertIn(name.removesuffix("_FILE"), known)

    def test_nothing_is_set_before_an_operator_sets_it(self) -> None:
        for file in (FOLDER / "etc").glob("*.env"):
            self.assertNotRegex(file.read_text(encoding="utf-8"), r"(?m)^[^#\n]")

    def test_secrets_are_read_where_systemd_puts_them(self) -> None:
        for service in SERVICES:
            self.assertEqual(values(service, "LoadCredential"), [f"secret:/etc/gavel/secrets/{service}"])
            text = (FOLDER / "etc" / f"{service}.env").read_text(encoding="utf-8")
            stored = re.findall(rf"in /etc/gavel/secrets/{service}/(\S+)", text)
            read = re.findall(rf"=/run/credentials/gavel-{service}\.service/secret_(\S+)", text)
            self.assertEqual(stored, read)
            self.assertEqual(len(read), text.count("/run/credentials/"))
            self.assertIn(f"{service}.nk", read)

    def test_invalid_configuration_is_not_tried_again(self) -> None:
        for service in SERVICES:
            self.assertEqual(values(service, "Restart"), ["on-failure"])
            self.assertEqual(values(service, "RestartPreventExitStatus"), ["64"])


if __name__ == "__main__":
    unittest.main()
