"""Recording of the processes of `scripts/bench cost` with perf, and flame graphs of them with inferno."""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator

from lib.project import ROOT, TOOLS, Problem, environment, find, info

# Of the kernel's clock: virtual machines often have no counter of cycles.
EVENT = "cpu-clock"
SAMPLES_PER_S = 499
# perf follows frame pointers in nats-server, as Go's compiler always has them. For the services, which are the binaries
# that are shipped, it copies this many bytes of the stack, and finds the frames by the debug information.
STACK_BYTES = 16_384
# Narrower frames, in pixels, are left out.
SMALLEST_PX = "1"
LOAD = "load begins on "
NATS = "nats-server"


@dataclass(frozen=True)
class Profile:
    """The recorded stacks of a process, and its CPU time per submission."""
    name: str
    cpu_us: float
    # Stacks as inferno folds them, the frames from the outermost to the innermost, and the nanoseconds of each.
    stacks: dict[str, int]

    @property
    def seconds(self) -> float:
        """The CPU time that was recorded."""
        return sum(self.stacks.values()) / 1e9


def perf() -> str:
    """The path of perf; a Problem if it is not installed."""
    found = find("perf")
    if found is None:
        raise Problem("perf is not installed: run apt-get install linux-perf (Debian) or linux-tools-generic (Ubuntu)")
    return found


def measure(seconds: int) -> Iterator[Profile]:
    """Build and run the bench, and record its processes while the steady load lasts."""
    command = [str(ROOT / "scripts" / "bench"), "cost", "--json", "--seconds", str(seconds)]
    with tempfile.TemporaryDirectory() as folder:
        with subprocess.Popen(command, env=environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True) as bench:
            assert bench.stdout is not None and bench.stderr is not None
            processes = wait_for_load(iter(bench.stderr.readline, ""))
            recordings = {name: Path(folder) / name for name in processes}
            record({recordings[name]: pid for name, pid in processes.items()}, processes.get(NATS), seconds)
            output, errors = bench.communicate()
        if bench.returncode != 0:
            raise Problem(f"{' '.join(command)} failed:\n{errors.strip()}")
        costs = cpu_us(output)
        for name, recording in recordings.items():
            yield Profile(name, costs[name], fold(recording))


def wait_for_load(lines: Iterator[str]) -> dict[str, int]:
    """The ids of the processes by their names, once the bench has printed them."""
    for line in lines:
        if line.startswith(LOAD):
            return {name: int(pid) for name, pid in (part.split() for part in line.removeprefix(LOAD).split(","))}
        info(line.rstrip())
    raise Problem("the bench ended before its load began (see above)")


def record(pids: dict[Path, int], nats: int | None, seconds: int) -> None:
    """Record the stacks of each process into a file. The last second of the load is left out: perf takes time to begin."""
    running = []
    for path, pid in pids.items():
        unwinding = "fp" if pid == nats else f"dwarf,{STACK_BYTES}"
        command = [perf(), "record", "--quiet", "--event", EVENT, "--freq", str(SAMPLES_PER_S), "--call-graph", unwinding,
                   "--pid", str(pid), "--output", str(path), "--", "sleep", str(seconds - 1)]
        running.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True))
    errors = [process.communicate()[1] for process in running]
    failed = [error for process, error in zip(running, errors) if process.returncode != 0]
    if failed:
        raise Problem(f"perf record failed; it needs root, or kernel.perf_event_paranoid=-1:\n{failed[0].strip()}")


def cpu_us(output: str) -> dict[str, float]:
    """The CPU time of each process per submission, in microseconds, from the JSON lines of the bench."""
    results = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    suffix = "_cpu_us"
    return {line["metric"].removesuffix(suffix): line["value"] for line in results if line["metric"].endswith(suffix)}


def fold(recording: Path) -> dict[str, int]:
    """The stacks of a recording, with the nanoseconds of each."""
    # Without --no-inline, perf looks up each address in the debug information, which takes minutes.
    script = run([perf(), "script", "--input", str(recording), "--no-inline"])
    folded = run([inferno("collapse-perf")], script)
    matches = (re.fullmatch(r"(.+) (\d+)", line) for line in folded.splitlines())
    return {match[1]: int(match[2]) for match in matches if match}


def graph(profile: Profile) -> str:
    """The flame graph of a process, as SVG."""
    lines = "".join(f"{stack} {count}\n" for stack, count in profile.stacks.items())
    return run([inferno("flamegraph"), "--title", f"CPU time of {profile.name}", "--minwidth", SMALLEST_PX,
                "--countname", "ns"], lines)


def inferno(name: str) -> str:
    """The path of a program of inferno."""
    return str(TOOLS / "bin" / f"inferno-{name}")


def run(command: list[str], text: str = "") -> str:
    """What a program prints for this input; a Problem with its errors if it fails."""
    done = subprocess.run(command, input=text, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode != 0:
        raise Problem(f"{Path(command[0]).name} failed: {done.stderr.strip()}")
    return done.stdout
