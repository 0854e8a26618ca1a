"""The layer check finds each violation in artificial metadata, and accepts the allowed dependencies."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Any, Optional

SCRIPTS = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(SCRIPTS))

from lib import layers  # noqa: E402  (the scripts are no installed package)

CLEAN = '[package]\nname = "x"\n\n[lints]\nworkspace = true\n'


class Layers(unittest.TestCase):
    def setUp(self) -> None:
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = Path(holder.name)

    def metadata(self, *edges: tuple[str, str, Optional[str]]) -> list[dict[str, Any]]:
        """All crates of the workspace, with these dependencies: (from, to, kind)."""
        return [self.package(name, [(to, kind) for user, to, kind in edges if user == name]) for name in layers.ALLOWED]

    def package(self, name: str, dependencies: list[tuple[str, Optional[str]]]) -> dict[str, Any]:
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        manifest = folder / "Cargo.toml"
        if not manifest.exists():
            manifest.write_text(CLEAN, encoding="utf-8")
        return {"name": name, "manifest_path": str(manifest),
                "dependencies": [{"name": to, "kind": kind} for to, kind in dependencies]}

    def assert_refused(self, user: str, to: str, kind: Optional[str], remedy: str) -> None:
        with self.subTest(user=user, to=to, kind=kind):
            found = layers.violations(self.metadata((user, to, kind)))
            self.assertEqual(len(found), 1, found)
            self.assertTrue(found[0].startswith(f"{user} → {to}: "), found)
            self.assertIn(remedy, found[0])

    def assert_fine(self, user: str, to: str, kind: Optional[str]) -> None:
        with self.subTest(user=user, to=to, kind=kind):
            self.assertEqual(layers.violations(self.metadata((user, to, kind))), [])

    def test_files_that_use_each_other_are_refused(self) -> None:
        metadata = self.metadata()
        source = self.folder / "gavel-bus" / "src"
        (source / "a").mkdir(parents=True)
        (source / "lib.rs").write_text("mod a;\nmod b;\npub use a::A;\nuse crate::b::B;\n", encoding="utf-8")
        (source / "a.rs").write_text("mod c;\nuse crate::b::B;\n// use crate::a::c::C;\n", encoding="utf-8")
        (source / "a" / "c.rs").write_text("use super::A;\n", encoding="utf-8")
        (source / "b.rs").write_text("pub struct B;\n#[cfg(test)]\nmod tests {\n    use crate::a::A;\n}\n", encoding="utf-8")
        self.assertEqual(layers.violations(metadata), [])
        (source / "b.rs").write_text("use crate::a::{A, c::C};\npub struct B;\n", encoding="utf-8")
        found = layers.violations(metadata)
        self.assertEqual(len(found), 1, found)
        self.assertIn("gavel-bus: these files use each other: a, a::c, b: ", found[0])

    def test_dependencies_that_are_allowed(self) -> None:
        for user, to in [("gavel-proto", "gavel-domain"), ("gavel-bus", "gavel-proto"), ("gavel-judge", "gavel-bus"),
                         ("gavel-judge", "gavel-sandbox"), ("gavel-fetcher", "gavel-convex"), ("gavel-ingress", "gavel-runtime"),
                         ("gavel-convex", "gavel-config"), ("gavel-runtime", "gavel-config"), ("gavel-inspect", "gavel-bus"),
                         ("gavel-cli", "gavel-judge"), ("gavel-cli", "gavel-mock-convex"), ("gavel-cli", "gavel-inspect"),
                         ("gavel-chaos", "gavel-inspect"), ("gavel-bus", "async-nats"), ("gavel-inspect", "async-nats"),
                         ("gavel-testkit", "async-nats"), ("gavel-chaos", "async-nats"),
                         ("gavel-chaos", "gavel-testkit"), ("gavel-domain", "thiserror")]:
            self.assert_fine(user, to, None)

    def test_dev_dependencies_that_are_allowed(self) -> None:
        for user, to in [("gavel-bus", "gavel-testkit"), ("gavel-reporter", "gavel-mock-convex"), ("gavel-ingress", "async-nats"),
                         ("gavel-cli", "async-nats"), ("gavel-domain", "gavel-testkit")]:
            self.assert_fine(user, to, "dev")

    def test_upward_dependency_is_refused(self) -> None:
        for user, to in [("gavel-domain", "gavel-proto"), ("gavel-proto", "gavel-bus"), ("gavel-convex", "gavel-bus"),
                         ("gavel-sandbox", "gavel-runtime"), ("gavel-judge0", "gavel-proto"), ("gavel-runtime", "gavel-sandbox"),
                         ("gavel-config", "gavel-bus"), ("gavel-runtime", "gavel-convex"), ("gavel-judge", "gavel-convex"),
                         ("gavel-ingress", "gavel-convex"), ("gavel-bus", "gavel-runtime")]:
            self.assert_refused(user, to, None, "points upwards")
        self.assert_refused("gavel-proto", "gavel-bus", "build", "points upwards")

    def test_service_does_not_import_another(self) -> None:
        self.assert_refused("gavel-judge", "gavel-fetcher", None, "only crates/cli imports services")
        self.assert_refused("gavel-ingress", "gavel-cli", None, "only crates/cli imports services")
        self.assert_refused("gavel-bus", "gavel-judge", None, "only crates/cli imports services")
        self.assert_refused("gavel-judge", "gavel-reporter", "dev", "belongs in crates/cli/tests")

    def test_inspect_is_not_compiled_into_services(self) -> None:
        for service in layers.SERVICES | {"gavel-runtime", "gavel-bus"}:
            self.assert_refused(service, "gavel-inspect", None, "never compiled into a service")
        self.assert_fine("gavel-judge", "gavel-inspect", "dev")

    def test_mocks_and_testkit_do_not_ship(self) -> None:
        self.assert_refused("gavel-judge", "gavel-testkit", None, "make it a dev-dependency")
        self.assert_refused("gavel-cli", "gavel-testkit", None, "make it a dev-dependency")
        self.assert_refused("gavel-fetcher", "gavel-mock-convex", None, "make it a dev-dependency")
        self.assert_refused("gavel-mock-convex", "gavel-bus", None, "knows only the wire contract")

    def test_only_bus_and_inspect_use_the_nats_client(self) -> None:
        self.assert_refused("gavel-judge", "async-nats", None, "dev-dependency if only tests")
        self.assert_refused("gavel-runtime", "async-nats", None, "only gavel-bus")
        self.assert_refused("gavel-runtime", "async-nats", "dev", "only gavel-bus")

    def test_domain_is_pure(self) -> None:
        self.assert_refused("gavel-domain", "tokio", None, "the domain is pure")

    def test_unknown_crate_is_reported(self) -> None:
        found = layers.violations([*self.metadata(), self.package("gavel-helper", [])])
        self.assertEqual(len(found), 1, found)
        self.assertIn("is not in the order of the crates", found[0])

    def test_unsafe_code_is_allowed_only_in_the_sandbox(self) -> None:
        packages = self.metadata()
        source = "#![expect(unsafe_code, reason = \"system calls\")]\n"
        for name in ("gavel-bus", "gavel-sandbox"):
            (self.folder / name / "src").mkdir()
            (self.folder / name / "src" / "lib.rs").write_text(source, encoding="utf-8")
        found = layers.violations(packages)
        self.assertEqual(len(found), 1, found)
        self.assertIn("gavel-bus: src/lib.rs allows unsafe code", found[0])

    def test_missing_lints_are_reported(self) -> None:
        packages = self.metadata()
        (self.folder / "gavel-runtime" / "Cargo.toml").write_text('[package]\nname = "gavel-runtime"\n', encoding="utf-8")
        found = layers.violations(packages)
        self.assertEqual(len(found), 1, found)
        self.assertIn("does not use the workspace's lints", found[0])

    def test_rust_does_not_use_the_npm_package(self) -> None:
        packages = self.metadata()
        for path in ("convex/package.json", "gavel-bus/convex/a.json"):
            (self.folder / path).parent.mkdir(exist_ok=True)
            (self.folder / path).write_text("{}", encoding="utf-8")
        source = self.folder / "gavel-bus" / "src" / "lib.rs"
        source.parent.mkdir(exist_ok=True)
        for text, violates in (('include_str!("../../convex/package.json");', True),
                               ('concat!(env!("CARGO_MANIFEST_DIR"), "/../convex/package.json");', True),
                               ('include_str!("../convex/a.json");', False), ('include_str!("../../convex/gone.json");', False)):
            with self.subTest(text=text):
                source.write_text(text, encoding="utf-8")
                found = layers.violations(packages, self.folder.resolve())
                self.assertEqual(len(found), int(violates), found)
                self.assertTrue(all("gavel-bus: src/lib.rs uses" in each for each in found), found)

    def test_script_prints_violations_and_exits_1(self) -> None:
        listing = self.folder / "metadata.json"
        for edges, code in [((), 0), ((("gavel-judge", "gavel-fetcher", None),), 1)]:
            listing.write_text(json.dumps({"packages": self.metadata(*edges)}), encoding="utf-8")
            done = subprocess.run([sys.executable, str(SCRIPTS / "layers"), "--metadata", str(listing)],
                                  capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, code, done.stderr)
            self.assertEqual("gavel-judge → gavel-fetcher" in done.stdout, code == 1)


if __name__ == "__main__":
    unittest.main()
