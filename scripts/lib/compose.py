"""The containers of a running compose project, found by the labels that Docker Compose and podman-compose give them."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Optional

from lib.project import ROOT, Problem
from lib.samples import Sample

GAVEL = "/usr/local/bin/gavel"
# Where compose.yaml mounts the samples in the container `cli`.
SAMPLES = Path("/samples")


class Project:
    """A compose project; `engine` is the command of the container engine, such as ["docker"]."""

    def __init__(self, engine: list[str], name: str, env: Optional[dict[str, str]] = None) -> None:
        self.engine = engine
        self.name = name
        self._env = env

    def run(self, *arguments: str) -> str:
        """Run a command of the engine and return its output; a Problem if it fails."""
        command = [*self.engine, *arguments]
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", env=self._env,
                                  check=False)
        except OSError as error:
            raise Problem(f"cannot run {command[0]}: {error}") from error
        if done.returncode != 0:
            raise Problem(f"`{' '.join(command)}` failed with {done.returncode}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    def container(self, service: str) -> str:
        """The id of the running container of a service; a Problem if no container is running."""
        labels = [f"com.docker.compose.project={self.name}", f"com.docker.compose.service={service}"]
        filters = [part for label in labels for part in ("--filter", f"label={label}")]
        found = self.run("ps", "--quiet", *filters).split()
        if not found:
            raise Problem(f"the compose project {self.name} has no running container {service}: start it with "
                          "`compose --profile demo up --detach` in deploy/")
        return found[0]

    def gavel(self) -> list[str]:
        """The command that runs gavel in the container `cli`."""
        return [*self.engine, "exec", self.container("cli"), GAVEL]


def in_container(sample: Sample) -> Sample:
    """A sample with the path of its file in the container `cli`."""
    return sample._replace(file=SAMPLES / sample.file.relative_to(ROOT / "samples"))
