"""The example app on this machine: the real Gavel, and the app's functions on a mock of Convex."""

from __future__ import annotations

import base64
import secrets
import subprocess
import time
from pathlib import Path

from lib import web
from lib.background import Background
from lib.project import Problem, environment, info
from lib.stack import Stack, free_ports_of_app

READY_SECONDS = 60


class Credentials:
    """What Gavel and the app know of each other, random for each start."""

    def __init__(self) -> None:
        self.key = secrets.token_hex(24)
        self.token = secrets.token_hex(24)
        self.signing_secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()

    def of_gavel(self, site_url: str) -> dict[str, str]:
        """The settings of `gavel up`."""
        return {"CONVEX_SITE_URL": site_url, "CONVEX_ORDER": "guarded", "INGRESS_KEYS": self.key, "CONVEX_TOKEN": self.token,
                "CONVEX_SIGNING_SECRETS": self.signing_secret}

    def of_app(self, ingress_url: str) -> dict[str, str]:
        """The environment variables of the app's functions."""
        return {"GAVEL_URL": ingress_url, "GAVEL_KEY": self.key, "GAVEL_TOKENS": self.token,
                "GAVEL_SIGNING_SECRETS": self.signing_secret}


def run(gavel: Path, nats_server: str) -> int:
    """Start everything, print the address, and stay up until Ctrl-C (0) or until a process exits (1)."""
    credentials = Credentials()
    page_port, site_port = free_ports_of_app()
    info("starting gavel")
    with Stack(gavel, nats_server, settings=credentials.of_gavel(f"http://127.0.0.1:{site_port}")) as stack:
        page = build_page(stack.folder / "page")
        info("starting the mock of Convex")
        app = stack.add("the mock of Convex")
        app.start([node(), str(web.PACKAGE / "dev-server" / "main.js"), "--port", str(page_port), "--site-port", str(site_port),
                   "--page", str(page)], {**stack.child_environment(), **credentials.of_app(stack.ingress_url)})
        url = f"http://127.0.0.1:{page_port}/"
        if not app.wait_ready(url, READY_SECONDS):
            raise Problem(f"{app.name} did not start; the end of its log:\n{app.log_tail()}")
        try:
            print(welcome(url), flush=True)
            return watch([stack.process, app])
        except KeyboardInterrupt:
            info("\nstopping")
            return 0


def node() -> str:
    """The path of Node.js, which scripts/tools installed."""
    found = web.node()
    if found is None:
        raise Problem("Node.js is not installed: run scripts/tools --web")
    return found


def build_page(folder: Path) -> Path:
    """Build the example's page into a folder."""
    info("building the page")
    command = [node(), "node_modules/vite/bin/vite.js", "build", "--config", "example/vite.config.ts", "--outDir", str(folder)]
    done = subprocess.run(command, cwd=web.PACKAGE, env=environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace", check=False)
    if done.returncode != 0:
        raise Problem(f"the page did not build:\n{done.stdout}")
    return folder


def welcome(url: str) -> str:
    """The text that says what runs, with its only address."""
    return (f"\nThe example app is running. Open it in a browser, and submit a program:\n\n  {url}\n\n"
            "Gavel is real: its four services, nats-server and the sandbox judge each program on this machine.\n"
            "Convex is a mock: the app's functions run on convex-test, and their data is in memory and lost at the end.\n"
            "\nPress Ctrl-C to stop.")


def watch(processes: list[Background]) -> int:
    """Wait until a process exits, and show the end of its log."""
    while True:
        for process in processes:
            if not process.is_running():
                info(f"{process.name} exited with {process.exit_code()}; the end of its log:\n{process.log_tail()}")
                return 1
        time.sleep(0.2)
