"""The licences of the dependencies that are in the programs, with the texts that the dependencies themselves contain."""

from __future__ import annotations

import json
import platform
import subprocess
from pathlib import Path
from typing import Any

from lib.project import ROOT, Problem, cargo, environment

NAMES = ("copying", "copyright", "license", "licence", "notice", "unlicense")
RULE = "=" * 80


def metadata() -> dict[str, Any]:
    """What cargo knows about the packages of the workspace and their dependencies on this kind of machine."""
    command = [cargo(), "metadata", "--format-version=1", "--locked", f"--filter-platform={platform.machine()}-unknown-linux-gnu"]
    done = subprocess.run(command, cwd=ROOT, env=environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                          check=False)
    if done.returncode != 0:
        raise Problem("cargo metadata failed (see above)")
    return json.loads(done.stdout)


def dependencies(known: dict[str, Any], programs: set[str]) -> list[dict[str, Any]]:
    """The packages that the programs' packages depend on, other than for builds and tests, without the workspace's own."""
    packages = {package["id"]: package for package in known["packages"]}
    nodes = {node["id"]: node for node in known["resolve"]["nodes"]}
    waiting = [identity for identity, package in packages.items() if package["name"] in programs]
    seen = set(waiting)
    while waiting:
        for dependency in nodes[waiting.pop()]["deps"]:
            is_normal = any(kind["kind"] is None for kind in dependency["dep_kinds"])
            if is_normal and dependency["pkg"] not in seen:
                seen.add(dependency["pkg"])
                waiting.append(dependency["pkg"])
    found = [packages[identity] for identity in seen if packages[identity]["source"] is not None]
    return sorted(found, key=lambda package: (package["name"], package["version"]))


def texts(package: dict[str, Any]) -> list[str]:
    """The texts of licences and notices in a package."""
    folder = Path(package["manifest_path"]).parent
    files = [file for file in sorted(folder.iterdir()) if file.is_file() and file.name.lower().startswith(NAMES)]
    if package["license_file"] and folder / package["license_file"] not in files:
        files.append(folder / package["license_file"])
    return [file.read_text(encoding="utf-8", errors="replace").replace("\r\n", "\n").strip() for file in files]


def document(programs: set[str]) -> str:
    """A table of the dependencies with their licences, then each text with the dependencies that contain it."""
    packages = dependencies(metadata(), programs)
    unlicensed = [package["name"] for package in packages if not package["license"] and not package["license_file"]]
    if unlicensed:
        raise Problem(f"these dependencies declare no licence: {', '.join(unlicensed)}")
    users: dict[str, list[str]] = {}
    for package in packages:
        for text in texts(package):
            users.setdefault(text, []).append(f"{package['name']} {package['version']}")
    table = [f"{package['name']} {package['version']}: {package['license'] or package['license_file']}"
             f" ({package['repository'] or 'https://crates.io/crates/' + package['name']})" for package in packages]
    parts = ["The programs of Gavel contain these components, under these licences:", "\n".join(table)]
    without = [package["name"] for package in packages if not texts(package)]
    if without:
        parts.append(f"These contain no text of their licence; it is the same as that of others below: {', '.join(without)}.")
    for text, names in users.items():
        parts.append(f"{RULE}\nIn {', '.join(names)}:\n{RULE}\n\n{text}")
    return "\n\n".join(parts) + "\n"


def pages() -> str:
    """The licences of what the pages of the console contain; the console serves the same text."""
    return (ROOT / "crates/console/dist/licences.txt").read_text(encoding="utf-8")
