"""The life of the package on a machine: installed, configured, started, upgraded under load, removed, purged."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Callable

from lib import nats_server, samples
from lib.counts import Counts
from lib.packaging import PROGRAMS, SERVICES
from lib.project import Problem, info, run_main
from lib.samples import Sample
from lib.system_container import System

PYTHON = 71
KEY = "key-of-the-trial"
INGRESS = "http://127.0.0.1:4001"
MOCK_PORT = 5001
# The ingress, fetcher, judge and reporter of `gavel up` come first, and do nothing: they have a nats-server to themselves.
MOCK_URL = f"http://127.0.0.1:{MOCK_PORT + 4}"
READY_SECONDS = 180
# The disk of the virtual machine is small.
STORE_BYTES = 256 << 20
SUBMISSIONS_DURING_UPGRADE = 12


class Trial:
    """A system with the packages, nats-server, and the mock of Convex."""

    def __init__(self, system: System, packages: list[Path], tarball: Path) -> None:
        self.system = system
        self.packages = packages
        self.tarball = tarball

    def steps(self) -> list[Callable[[], None]]:
        """The steps, in their order."""
        return [self.installs_and_starts_nothing, self.refuses_to_run_without_settings, self.starts_as_separate_users,
                self.keeps_secrets_from_others, self.judges_the_samples, self.restarts_what_hangs_or_crashes,
                self.upgrades_while_it_works, self.stops_cleanly, self.is_removed_but_for_its_configuration, self.is_purged,
                self.tarball_starts_as_well]

    def installs_and_starts_nothing(self) -> None:
        for package in self.packages:
            shutil.copy(package, self.system.root / "root")
        self.system.must("dpkg", "--install", f"/root/{self.packages[0].name}")
        for name in PROGRAMS:
            printed = self.system.must(name, "--version")
            expect(printed.startswith(f"{name} "), f"{name} --version prints {printed!r}")
        for service in SERVICES:
            expect(self.state(service)["ActiveState"] == "inactive", f"gavel-{service} is {self.state(service)}")
            self.system.must("getent", "passwd", f"gavel-{service}")
        expect("GAVEL" in self.system.must("zcat", "/usr/share/man/man1/gavel-tap.1.gz").upper(), "the manual page is empty")

    def refuses_to_run_without_settings(self) -> None:
        for service in ("fetcher", "reporter"):
            started = self.system.run("systemctl", "start", f"gavel-{service}")
            expect(started.returncode != 0, f"gavel-{service} starts without settings")
            state = self.state(service)
            expect(state["ExecMainStatus"] == "64" and state["NRestarts"] == "0" and state["ActiveState"] == "failed", str(state))
            expect("CONVEX_SITE_URL must be set" in self.journal(service), self.journal(service))

    def starts_as_separate_users(self) -> None:
        self.start_surroundings()
        self.configure()
        self.system.must("systemctl", "enable", "--now", *(f"gavel-{service}" for service in SERVICES))
        for service in SERVICES:
            wait(f"gavel-{service} to be ready", lambda service=service: self.state(service)["StatusText"] == "ready",
                 lambda service=service: self.journal(service))
            user = self.system.must("stat", "--format=%U", f"/proc/{self.pid(service)}").strip()
            expect(user == f"gavel-{service}", f"gavel-{service} runs as {user}")
        capabilities = self.system.must("grep", "CapEff", f"/proc/{self.pid('judge')}/status").split()[1]
        expect(int(capabilities, 16) == 0b1100_0001, f"the judge has the capabilities {capabilities}")
        tier = "cgroup v2" if self.has_controllers() else "no cgroup"
        log = self.journal("judge")
        expect(f"{tier} (" in log and "a user namespace for each slot with separate ids" in log, log)

    def keeps_secrets_from_others(self) -> None:
        secret = "/run/credentials/gavel-ingress.service/secret_INGRESS_KEYS"
        reads = ["setpriv", "--reuid=gavel-reporter", "--regid=gavel-reporter", "--clear-groups", "cat"]
        for path in (secret, "/etc/gavel/secrets/ingress/INGRESS_KEYS"):
            expect(self.system.run(*reads, path).returncode != 0, f"gavel-reporter can read {path}")
        without_key = self.system.run("gavel", "submit", "/root/sum.py", "--question", "sum")
        expect(without_key.returncode == 69 and "401" in without_key.stdout, without_key.stdout)
        expect(KEY not in self.system.must("journalctl", "--no-pager"), "the key is in the journal")

    def judges_the_samples(self) -> None:
        chosen = [sample for sample in samples.load(samples.SAMPLES) if sample.language_id == PYTHON]
        expect(len(chosen) >= 5, f"only {len(chosen)} samples are in Python")
        with ThreadPoolExecutor(4) as pool:
            for sample, wrong in zip(chosen, pool.map(self.judge, chosen)):
                expect(not wrong, f"{sample.title}: {wrong}")
        files = "".join(f". /etc/gavel/{name}.env; " for name in ("common", "fetcher"))
        self.system.must("sh", "-c", f"set -a; {files} gavel doctor --no-judge")

    def restarts_what_hangs_or_crashes(self) -> None:
        hangs, crashes = self.pid("ingress"), self.pid("judge")
        # A command of the shell: the program of that name is in another package.
        self.system.must("sh", "-c", f"kill -STOP {hangs} && kill -KILL {crashes}")
        for service, before in (("ingress", hangs), ("judge", crashes)):
            wait(f"gavel-{service} to be restarted", lambda service=service, before=before: self.pid(service) not in ("0", before)
                 and self.state(service)["StatusText"] == "ready", lambda service=service: self.journal(service))
        expect("Watchdog timeout" in self.journal("ingress"), self.journal("ingress"))
        self.judge_one()

    def upgrades_while_it_works(self) -> None:
        before = {service: self.pid(service) for service in SERVICES}
        with ThreadPoolExecutor(SUBMISSIONS_DURING_UPGRADE) as pool:
            following = [pool.submit(self.judge_one, again=True) for _ in range(SUBMISSIONS_DURING_UPGRADE)]
            printed = self.system.must("dpkg", "--install", f"/root/{self.packages[1].name}")
            expect("did not restart" not in printed, printed)
            for submission in following:
                submission.result()
        for service in SERVICES:
            expect(self.pid(service) not in ("0", before[service]), f"gavel-{service} still is the process {before[service]}")
        expect(MOCK_URL in self.system.must("cat", "/etc/gavel/fetcher.env"), "the upgrade has replaced the settings")
        self.judge_one()

    def stops_cleanly(self) -> None:
        for service in SERVICES:
            self.system.must("systemctl", "stop", f"gavel-{service}")
            state = self.state(service)
            expect(state["Result"] == "success" and state["ExecMainStatus"] == "0", f"gavel-{service}: {state}")
            self.system.must("systemctl", "start", f"gavel-{service}")

    def is_removed_but_for_its_configuration(self) -> None:
        self.system.must("dpkg", "--remove", "gavel")
        for service in SERVICES:
            expect(self.state(service)["ActiveState"] != "active", f"gavel-{service} still runs")
        expect(self.system.run("which", *PROGRAMS).stdout.strip() == "", "programs are left")
        self.system.must("test", "-s", "/etc/gavel/secrets/ingress/INGRESS_KEYS")

    def is_purged(self) -> None:
        self.system.must("systemctl", "stop", "trial-nats", "trial-mock")
        for path in ("/root/.local", "/usr/local/lib/trial", "/var/lib/trial"):
            self.system.must("rm", "-rf", path)
        self.system.must("dpkg", "--purge", "gavel")
        named = ["(", "-iname", "*gavel*", "-not", "-path", "/root/gavel_*", "-not", "-path", "/trial/*", ")"]
        left = self.system.must("find", "/", "-xdev", *named, "-o", "-nouser", "-o", "-nogroup")
        expect(left.strip() == "", f"files are left: {left}")
        expect("gavel" not in self.system.must("cat", "/etc/passwd", "/etc/group", "/etc/shadow"), "users are left")
        units = self.system.must("systemctl", "list-units", "--all", "--no-legend", "gavel-*")
        expect(units.strip() == "", f"units are left: {units}")

    def tarball_starts_as_well(self) -> None:
        shutil.copy(self.tarball, self.system.root / "root")
        self.system.must("tar", "--extract", "--file", f"/root/{self.tarball.name}", "--directory", "/")
        self.system.must("systemd-sysusers")
        self.system.must("systemctl", "daemon-reload")
        self.system.must("systemctl", "start", "gavel-ingress")
        wait("the status", lambda: "not connected to NATS" in self.state("ingress")["StatusText"], lambda: self.journal("ingress"))

    def start_surroundings(self) -> None:
        """Start nats-server, and `gavel up` for its mock of Convex."""
        folder = self.system.root / "usr/local/lib/trial"
        folder.mkdir(parents=True)
        shutil.copy(nats_server.ensure(), folder / "nats-server")
        # The package, and with it /usr/bin/gavel, is removed while the mock runs.
        shutil.copy(self.system.root / "usr/bin/gavel", folder / "gavel")
        nats = ["-js", "-sd", "/var/lib/trial/nats", "-a", "127.0.0.1"]
        self.system.must("systemd-run", "--unit=trial-nats", "/usr/local/lib/trial/nats-server", *nats)
        # With Judge0, which it cannot reach, this judge needs no sandbox.
        settings = {"NATS_SERVER": "/usr/local/lib/trial/nats-server", "NATS_PORT": "5999", "PORT": str(MOCK_PORT),
                    "ENGINE": "judge0", "JUDGE0_BASE_URL": "http://127.0.0.1:1", "DATA_DIR": "/var/lib/trial/mock", "HOME": "/root",
                    "NATS_STORE_BYTES": str(STORE_BYTES)}
        options = [f"--setenv={name}={value}" for name, value in settings.items()]
        self.system.must("systemd-run", "--unit=trial-mock", *options, "/usr/local/lib/trial/gavel", "up")
        log = ("journalctl", "--no-pager", "-u", "trial-mock")
        wait("the mock of Convex", lambda: "using mock Convex" in self.system.must(*log), lambda: self.system.must(*log))

    def configure(self) -> None:
        """What an operator does after the installation."""
        etc = self.system.root / "etc/gavel"
        append(etc / "common.env", f"NATS_STORE_BYTES={STORE_BYTES}")
        for service in ("fetcher", "reporter"):
            append(etc / f"{service}.env", f"CONVEX_SITE_URL={MOCK_URL}")
        append(etc / "ingress.env", "INGRESS_KEYS_FILE=/run/credentials/gavel-ingress.service/secret_INGRESS_KEYS")
        (etc / "secrets/ingress/INGRESS_KEYS").write_text(f"{KEY}\n", encoding="utf-8")
        (etc / "secrets/ingress/INGRESS_KEYS").chmod(0o600)
        if not self.has_controllers():
            info("note: cgroup v2 has no controllers here, since cgroup v1 uses them: the judge runs on the tier no-cgroup")
            append(etc / "judge.env", "SANDBOX_TIER=no-cgroup")
        for sample in samples.load(samples.SAMPLES):
            shutil.copy(sample.file, self.system.root / "root")

    def has_controllers(self) -> bool:
        """Whether systemd can delegate the controllers of cgroup v2 that the judge needs."""
        return {"memory", "pids"} <= set(self.system.must("cat", "/sys/fs/cgroup/cgroup.controllers").split())

    def judge(self, sample: Sample) -> list[str]:
        """Submit a sample, and return how its result differs from the expected one."""
        command = ["env", f"INGRESS_KEY={KEY}", "gavel", "submit", f"/root/{sample.file.name}", "--question", sample.question,
                   "--language", str(sample.language_id), "--kind", sample.kind, "--json", "--timeout", str(READY_SECONDS)]
        done = self.system.run(*command)
        events = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        results = [event["result"] for event in events if isinstance(event.get("result"), dict)]
        if not results or events[-1].get("event") != "reported":
            return [f"exit code {done.returncode}: {done.stdout}"]
        return samples.differences(results[-1], sample.expect)

    def judge_one(self, again: bool = False) -> None:
        """Submit a program that passes. With `again`, a submission that is not accepted is sent again, as Convex does."""
        sample = next(each for each in samples.load(samples.SAMPLES) if each.file.name == "sum.py")
        deadline = time.monotonic() + READY_SECONDS
        while True:
            wrong = self.judge(sample)
            if not wrong:
                return
            if not (again and wrong[0].startswith("exit code 69:")) or time.monotonic() > deadline:
                raise Problem(f"{sample.title}: {wrong}")

    def state(self, service: str) -> dict[str, str]:
        """The state of a unit."""
        names = ("ActiveState", "Result", "ExecMainStatus", "NRestarts", "MainPID", "StatusText")
        printed = self.system.must("systemctl", "show", f"gavel-{service}", f"--property={','.join(names)}")
        return dict(line.split("=", 1) for line in printed.splitlines())

    def pid(self, service: str) -> str:
        """The process id of a service, as the container sees it; 0 if it does not run."""
        return self.state(service)["MainPID"]

    def journal(self, service: str) -> str:
        """The last lines of a unit's log."""
        return self.system.must("journalctl", "--no-pager", "--output=cat", "--lines=30", "-u", f"gavel-{service}")


def run(system: System, packages: list[Path], tarball: Path) -> Counts:
    """Try two versions of the .deb and the tarball. Print the result of each step, and return the counts.

    No step runs after one that failed.
    """
    trial = Trial(system, packages, tarball)
    passed = 0
    for step in trial.steps():
        name = step.__name__.replace("_", " ")
        began = time.monotonic()
        try:
            step()
        except (Problem, OSError, subprocess.SubprocessError) as failure:
            print(f"FAILED  {name}: {failure}", flush=True)
            return Counts(passed, 1)
        passed += 1
        print(f"ok      {name} ({time.monotonic() - began:.0f} s)", flush=True)
    return Counts(passed, 0)


def expect(is_true: bool, otherwise: str) -> None:
    """A Problem unless the condition is true."""
    if not is_true:
        raise Problem(otherwise)


def wait(what: str, is_true: Callable[[], bool], details: Callable[[], str]) -> None:
    """Poll a condition; a Problem with the details if it is not true in time."""
    deadline = time.monotonic() + READY_SECONDS
    while not is_true():
        if time.monotonic() > deadline:
            raise Problem(f"waited {READY_SECONDS} s for {what}: {details()}")
        time.sleep(0.5)


def append(file: Path, line: str) -> None:
    """Add a line to a file."""
    with open(file, "a", encoding="utf-8") as opened:
        opened.write(f"{line}\n")


def main() -> int:
    """Try the packages in a folder on this machine, which must be a new one: they are purged in the end."""
    folder = Path(sys.argv[1])
    print(run(System(), sorted(folder.glob("*.deb")), next(folder.glob("*.tar.gz"))), flush=True)
    return 0


if __name__ == "__main__":
    run_main(main)
