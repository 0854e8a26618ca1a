"""The Helm chart in deploy/helm/gavel, as helm renders it."""

from __future__ import annotations

import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Iterator, Sequence

from lib.project import ROOT, TOOLS, Problem

CHART = Path("deploy/helm/gavel")
# Values for each way to install; the checks run with each of these files.
VALUES = ROOT / "scripts" / "tests" / "helm"
RELEASE, NAMESPACE = "gavel", "judging"


@contextmanager
def chart() -> Iterator[Path]:
    """A copy of the chart with an empty chart in place of NATS's.

    Helm renders no chart whose dependencies are missing, even if they are disabled, and the repository of the official one is
    not reachable everywhere. So nothing here checks what the chart of NATS makes of its values.
    """
    with tempfile.TemporaryDirectory(prefix="gavel-helm-") as holder:
        copy = Path(holder) / CHART
        copy.mkdir(parents=True)
        for path in (ROOT / CHART).iterdir():
            if path.name != "charts":
                (copy / path.name).symlink_to(path)
        placeholder = copy / "charts" / "nats" / "Chart.yaml"
        placeholder.parent.mkdir(parents=True)
        placeholder.write_text("apiVersion: v2\nname: nats\nversion: 2.12.0\n", encoding="utf-8")
        yield copy


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run helm. It logs each link that it follows; other lines on stderr are kept."""
    done = subprocess.run([str(TOOLS / "bin" / "helm"), *map(str, arguments)], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, check=False)
    kept = [line for line in done.stderr.splitlines(keepends=True) if "found symbolic link in path" not in line]
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout, "".join(kept))


def options(values: Path | None, settings: Sequence[str]) -> list[str]:
    """The options for a file with values, and for `NAME=VALUE` on the command line."""
    files = ["--values", str(values)] if values else []
    return [*files, *(part for setting in settings for part in ("--set", setting))]


def template(folder: Path, values: Path | None, *settings: str, notes: bool = False) -> str:
    """What helm renders; a Problem with helm's message if it refuses the values."""
    command = ["install", "--dry-run=client"] if notes else ["template"]
    done = run(*command, RELEASE, folder, "--namespace", NAMESPACE, *options(values, settings))
    if done.returncode != 0:
        raise Problem(done.stderr.strip())
    return done.stdout


def objects(folder: Path, values: Path | None, *settings: str) -> list[dict[str, Any]]:
    """The objects that helm renders. Needs helm_tools.ensure()."""
    import yaml  # pylint: disable=import-outside-toplevel

    return [each for each in yaml.safe_load_all(template(folder, values, *settings)) if each]
