"""What the demo needs before it can start: the tools, and a gavel binary. Both are prepared at the same time."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Optional

from lib import languages
from lib.project import ROOT, Problem, cargo, environment, info
from lib.resource import Resource
from lib.samples import Sample


def prepare(web: bool, chosen: list[Sample]) -> tuple[str, Path]:
    """Install missing tools and build gavel. Returns the paths of the nats-server to use, and of gavel."""
    options = tool_options(web, chosen)
    if shutil.which("cc") is None:
        # cargo needs the C compiler that is among the tools.
        nats_server = get_tools(options)
        with Build() as build:
            return nats_server, build.binary()
    with Build() as build:
        return get_tools_during_build(options), build.binary()


def tool_options(web: bool, chosen: list[Sample]) -> list[str]:
    """The options of scripts/tools. The samples need few toolchains; the example app offers most languages."""
    known = {number for language in languages.table() for number in language.ids}
    ids = [] if web else [str(number) for number in sorted({sample.language_id for sample in chosen} & known)]
    return ["--nats-server", *(["--toolchains", *ids] if web or ids else []), *(["--web"] if web else [])]


def get_tools(options: list[str]) -> str:
    """Install missing tools, and return the path of the nats-server to use."""
    tools = subprocess.run(tools_command(options), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=False)
    return path_printed(tools.stdout, tools.returncode)


def get_tools_during_build(options: list[str]) -> str:
    """The same, with each line of the progress marked, because those of cargo come between them."""
    # cargo leaves its progress bar on the terminal's last line.
    erase = "\r\x1b[K" if sys.stderr.isatty() else ""
    with subprocess.Popen(tools_command(options), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, errors="replace") as tools:
        assert tools.stdout is not None and tools.stderr is not None
        try:
            lines = 0
            for line in tools.stderr:
                lines += 1
                info(f"{erase}tools: {line.strip().removeprefix('tools: ')}")
            # One line at most, which the pipe holds.
            output = tools.stdout.read()
        except BaseException:
            tools.kill()
            raise
    path = path_printed(output, tools.returncode)
    if lines:
        info(f"{erase}tools: all are installed")
    return path


def tools_command(options: list[str]) -> list[str]:
    """The command that installs missing tools."""
    return [sys.executable, str(ROOT / "scripts" / "tools"), *options]


def path_printed(output: str, code: int) -> str:
    """The path that scripts/tools printed."""
    if code != 0:
        raise Problem("cannot continue without the tools above")
    return output.strip()


class Build(Resource):
    """cargo, which builds gavel with its progress on the terminal; stopped if something else fails."""

    def __init__(self) -> None:
        self._messages = tempfile.TemporaryFile()
        self._process: Optional[subprocess.Popen[bytes]] = None

    def _start(self) -> None:
        info("building gavel (takes a few minutes the first time)")
        command = [cargo(), "build", "--profile", "demo", "-p", "gavel-cli", "--bin", "gavel",
                   "--message-format", "json-render-diagnostics"]
        self._process = subprocess.Popen(command, cwd=ROOT, env=environment(), stdin=subprocess.DEVNULL, stdout=self._messages)

    def binary(self) -> Path:
        """Wait for the build, and return the path of the binary."""
        assert self._process is not None, "the build must be started before it is waited for"
        if self._process.wait() != 0:
            raise Problem("the build failed (see above)")
        self._messages.seek(0)
        for message in map(json.loads, self._messages.read().splitlines()):
            if message.get("executable") and message["target"]["name"] == "gavel":
                return Path(message["executable"])
        raise Problem("cargo reported no binary named gavel")

    def close(self) -> None:
        """Stop cargo if it still runs."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait()
        self._messages.close()
