"""The files of the packages, and the packages made of them: a .deb by cargo-deb, and a tarball."""

from __future__ import annotations

import fcntl
import gzip
import json
import os
import platform
import re
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Iterable

from lib import cargo_tools, debian, licences, manual_pages
from lib.project import ROOT, Problem, cargo, environment

SERVICES = ("ingress", "fetcher", "judge", "reporter")
PROGRAMS = ("gavel", *(f"gavel-{service}" for service in SERVICES))
DEPLOY = ROOT / "deploy"
# Where cargo-deb finds the files: crates/cli/Cargo.toml names this folder.
STAGED = ROOT / "target" / "package" / "root"
COMPLETIONS = {"bash": "usr/share/bash-completion/completions/gavel", "zsh": "usr/share/zsh/vendor-completions/_gavel",
               "fish": "usr/share/fish/vendor_completions.d/gavel.fish"}
DOC = "usr/share/doc/gavel"


def run(command: list[str], env: dict[str, str] | None = None) -> str:
    """Run a command, and return what it prints; its errors are shown. A Problem if it fails."""
    done = subprocess.run(command, cwd=ROOT, env=env or environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          text=True, check=False)
    if done.returncode != 0:
        raise Problem(f"`{' '.join(command)}` failed (see above)")
    return done.stdout


def version() -> str:
    """The version of the workspace."""
    found = re.search(r'^version = "(.+)"$', (ROOT / "Cargo.toml").read_text(encoding="utf-8"), re.MULTILINE)
    if found is None:
        raise Problem("Cargo.toml has no version")
    return found[1]


def epoch() -> int:
    """The time of all files in the packages, in seconds since 1970: SOURCE_DATE_EPOCH, or the time of the commit."""
    given = os.environ.get("SOURCE_DATE_EPOCH")
    if given is None:
        return int(run(["git", "log", "-1", "--format=%ct"]))
    if not given.isdigit():
        raise Problem(f"SOURCE_DATE_EPOCH={given} must be a number of seconds since 1970")
    return int(given)


def build(seconds: int) -> Path:
    """Build the programs without the paths of this machine in them, and return their folder."""
    home = os.environ.get("CARGO_HOME") or str(Path.home() / ".cargo")
    prefixes = {str(ROOT): "/gavel", home: "/cargo"}
    env = environment()
    flags = [f"--remap-path-prefix={old}={new}" for old, new in prefixes.items()]
    env["CARGO_ENCODED_RUSTFLAGS"] = "\x1f".join([*env.get("RUSTFLAGS", "").split(), *flags])
    env["CFLAGS"] = " ".join([env.get("CFLAGS", ""), *(f"-ffile-prefix-map={old}={new}" for old, new in prefixes.items())])
    env["SOURCE_DATE_EPOCH"] = str(seconds)
    env["CARGO_TARGET_DIR"] = str(ROOT / "target" / "package" / "build")
    packages = [option for name in ("cli", *SERVICES) for option in ("-p", f"gavel-{name}")]
    run([cargo(), "build", "--release", "--locked", *packages, "--bins"], env)
    return Path(env["CARGO_TARGET_DIR"]) / "release"


def ensure_tools() -> None:
    """Install what makes the packages, if it is missing."""
    if shutil.which("dpkg-shlibdeps") is None:
        debian.install(["dpkg-dev"])
    for tool in ("cargo-deb", "cargo-cyclonedx"):
        cargo_tools.ensure(tool)


def stage(binaries: Path, root: Path, seconds: int) -> None:
    """Put all files of the packages into a folder."""
    missing = [name for name in PROGRAMS if not (binaries / name).is_file()]
    if missing:
        raise Problem(f"{binaries} lacks {', '.join(missing)}: build them with `cargo build --release --workspace --bins`")
    for name in PROGRAMS:
        target = place(root, f"usr/bin/{name}")
        run(["strip", "--enable-deterministic-archives", "-o", str(target), str(binaries / name)])
        target.chmod(0o755)
    stage_pages(root / "usr/bin", root)
    stage_systemd(root)
    stage_documents(root)
    stage_dependencies(root, seconds)


def place(root: Path, path: str) -> Path:
    """The path of a file below the root, whose folder exists from then on."""
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    return target


def stage_pages(programs: Path, root: Path) -> None:
    """Completions, and manual pages for `gavel`, each of its commands, and each service."""
    gavel = programs / "gavel"
    for shell, path in COMPLETIONS.items():
        place(root, path).write_text(output_of(gavel, "completions", shell), encoding="utf-8")
    with tempfile.TemporaryDirectory(prefix="gavel-man-") as folder:
        output_of(gavel, "man", "--out", folder)
        for page in sorted(Path(folder).iterdir()):
            place_page(root, page.name, page.read_text(encoding="utf-8"))
    for service in SERVICES:
        printed = output_of(programs / f"gavel-{service}", "--help")
        place_page(root, f"gavel-{service}.8", manual_pages.of_service(service, version(), printed))


def place_page(root: Path, name: str, page: str) -> None:
    """Put a manual page into its folder, compressed without a time, as Debian's policy asks."""
    place(root, f"usr/share/man/man{name[-1]}/{name}.gz").write_bytes(gzip.compress(page.encode(), mtime=0))


def output_of(program: Path, *arguments: str) -> str:
    """What a packaged program prints."""
    return run([str(program), *arguments])


def stage_systemd(root: Path) -> None:
    """Units, users, and the configuration in /etc/gavel."""
    for unit in sorted((DEPLOY / "systemd").glob("*.service")):
        shutil.copyfile(unit, place(root, f"usr/lib/systemd/system/{unit.name}"))
    shutil.copyfile(DEPLOY / "systemd" / "gavel.sysusers", place(root, "usr/lib/sysusers.d/gavel.conf"))
    for file in sorted((DEPLOY / "systemd" / "etc").glob("*.env")):
        shutil.copyfile(file, place(root, f"etc/gavel/{file.name}"))


def stage_documents(root: Path) -> None:
    """What operators need: documentation, all settings, and the configuration of NATS, Prometheus and Grafana."""
    files = [ROOT / "docs" / "operations.md", ROOT / "docs" / "security.md", ROOT / "docs" / "languages.md", DEPLOY / "default.env",
             ROOT / "LICENSE", *sorted((DEPLOY / "nats").iterdir()), DEPLOY / "prometheus" / "gavel.rules.yml",
             DEPLOY / "grafana" / "gavel.json"]
    for file in files:
        folder = "" if file.parent in (ROOT, ROOT / "docs", DEPLOY) else f"{file.parent.name}/"
        shutil.copyfile(file, place(root, f"{DOC}/{folder}{file.name}"))
    # Debian's name for the changelog of a program. changelog.Debian.gz is that of a package, in a separate format.
    place(root, f"{DOC}/changelog.gz").write_bytes(gzip.compress((ROOT / "CHANGELOG.md").read_bytes(), mtime=0))


def stage_dependencies(root: Path, seconds: int) -> None:
    """The licences of all dependencies, and the list of them."""
    packages = {"gavel-cli", *(f"gavel-{service}" for service in SERVICES)}
    place(root, f"{DOC}/third-party-licences.txt").write_text(
        licences.document(packages) + "\n" + licences.pages(), encoding="utf-8")
    place(root, f"{DOC}/gavel.cdx.json").write_text(sbom(seconds), encoding="utf-8")


def sbom(seconds: int) -> str:
    """The list of the components of all programs, in the format of CycloneDX."""
    name = "gavel-sbom"
    env = {**environment(), "SOURCE_DATE_EPOCH": str(seconds)}
    try:
        run([cargo(), "cyclonedx", "--format", "json", "--spec-version", "1.5", "--target", target(), "--override-filename", name,
             "--manifest-path", "crates/cli/Cargo.toml"], env)
        text = (ROOT / "crates" / "cli" / f"{name}.json").read_text(encoding="utf-8")
    finally:
        # It writes a file for each crate of the workspace.
        for written in (*ROOT.glob(f"*/{name}.json"), *ROOT.glob(f"*/*/{name}.json")):
            written.unlink()
    listing = json.loads(text)
    # Random: the packages would differ.
    listing.pop("serialNumber", None)
    return json.dumps(listing, indent=1, sort_keys=True).replace(f"path+file://{ROOT}", "path+file:///gavel") + "\n"


def target() -> str:
    """Rust's name of this machine."""
    return f"{platform.machine()}-unknown-linux-gnu"


def deb(root: Path, out: Path, revision: str, seconds: int, fast: bool = False) -> Path:
    """Make the .deb with the files in a folder; `fast` compresses less."""
    env = {**environment(), "SOURCE_DATE_EPOCH": str(seconds)}
    STAGED.parent.mkdir(parents=True, exist_ok=True)
    with open(STAGED.with_suffix(".lock"), "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        shutil.rmtree(STAGED, ignore_errors=True)
        shutil.copytree(root, STAGED)
        printed = run([cargo(), "deb", "--quiet", "--no-build", "--no-strip", "--locked", "-p", "gavel-cli", "--output", str(out),
                       "--deb-revision", revision, *(["--fast"] if fast else [])], env)
        shutil.rmtree(STAGED)
    return Path(printed.strip().splitlines()[-1])


def tarball(root: Path, out: Path, seconds: int) -> Path:
    """Make the tarball with the files in a folder, to be extracted in /."""
    path = out / f"gavel-{version()}-{platform.machine()}-linux.tar.gz"
    with open(path, "wb") as file, gzip.GzipFile("", "wb", 9, file, mtime=seconds) as compressed:
        with tarfile.open(fileobj=compressed, mode="w", format=tarfile.PAX_FORMAT) as archive:
            for entry in entries(root, seconds):
                with open(root / entry.name, "rb") if entry.isreg() else open(os.devnull, "rb") as content:
                    archive.addfile(entry, content)
    return path


def entries(root: Path, seconds: int) -> Iterable[tarfile.TarInfo]:
    """The entries of the tarball: files of root, and the folders that have the secrets later."""
    for file in sorted(root.rglob("*")):
        if file.is_file():
            entry = tarfile.TarInfo(str(file.relative_to(root)))
            entry.size, entry.mtime, entry.mode = file.stat().st_size, seconds, 0o755 if os.access(file, os.X_OK) else 0o644
            yield entry
    for name in ("", *(f"/{service}" for service in SERVICES)):
        entry = tarfile.TarInfo(f"etc/gavel/secrets{name}")
        entry.type, entry.mtime, entry.mode = tarfile.DIRTYPE, seconds, 0o700
        yield entry
