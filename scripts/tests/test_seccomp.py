"""The seccomp profile for the judge's container allows what the sandbox's own filter allows to programs, and little else."""

from __future__ import annotations

import json
import re
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from lib.project import ROOT  # noqa: E402  (the scripts are no installed package)

FILTER = ROOT / "crates" / "sandbox" / "src" / "init" / "filter"


def calls_in(text: str) -> set[str]:
    """The system calls that Rust code names: `libc::SYS_read`, or a constant such as `FCHMODAT2`."""
    code = re.sub(r"//.*", "", text)
    return set(re.findall(r"SYS_(\w+)", code)) | {name.lower() for name in re.findall(r"^\s+([A-Z][A-Z0-9_]+),$", code, re.MULTILINE)}


def list_of(text: str, name: str) -> set[str]:
    """The system calls in the lists of this name, one for each architecture."""
    return {call for body in re.findall(rf"const {name}: .*?= &\[(.*?)\];", text, re.DOTALL) for call in calls_in(body)}


class Profile(unittest.TestCase):
    def setUp(self) -> None:
        self.profile = json.loads((ROOT / "deploy" / "seccomp" / "judge.json").read_text(encoding="utf-8"))
        judge, programs = self.profile["syscalls"]
        self.judge, self.programs = set(judge["names"]), set(programs["names"])
        allowed = (FILTER / "allowed.rs").read_text(encoding="utf-8")
        self.calls = (FILTER / "calls.rs").read_text(encoding="utf-8")
        filter_itself = (FILTER.with_suffix(".rs")).read_text(encoding="utf-8")
        self.allowed = list_of(allowed, "ALLOWED_CALLS") | list_of(allowed, "ALLOWED_CALLS_OF_ARCHITECTURE")
        self.conditional = (set(re.findall(r"ArgumentRule::new\(\s*libc::SYS_(\w+)", self.calls))
                            | set(re.findall(r"for_call\(libc::SYS_(\w+)", filter_itself)))

    def test_programs_get_what_the_sandbox_allows(self) -> None:
        self.assertGreater(len(self.allowed), 200)
        self.assertGreaterEqual(self.conditional, {"clone", "mmap", "socket", "fcntl", "ioctl"})
        self.assertEqual(self.programs, self.allowed | self.conditional)

    def test_further_calls_are_those_that_the_sandbox_refuses_or_ignores(self) -> None:
        decided = list_of(self.calls, "REFUSED_CALLS") | list_of(self.calls, "IGNORED_CALLS")
        self.assertLessEqual(self.judge, decided)
        self.assertTrue(self.judge.isdisjoint(self.programs))

    def test_other_calls_do_not_exist(self) -> None:
        self.assertEqual(self.profile["defaultAction"], "SCMP_ACT_ERRNO")
        self.assertEqual(self.profile["defaultErrnoRet"], 38)
        self.assertEqual({group["action"] for group in self.profile["syscalls"]}, {"SCMP_ACT_ALLOW"})
        for call in ("bpf", "keyctl", "ptrace", "perf_event_open", "io_uring_setup", "userfaultfd", "init_module", "setns"):
            self.assertNotIn(call, self.judge | self.programs)


if __name__ == "__main__":
    unittest.main()
