"""The prose check finds a planted phrase in each kind of file, leaves plain text alone, and knows the tests and links in docs."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(SCRIPTS))

from lib import links, named_tests, prose  # noqa: E402  (the scripts are no installed package)
from lib.project import ROOT  # noqa: E402

PLANTED = {
    "docs/a.md": "# Title\n\nThe submission is in hand.\n",
    "crates/a/src/lib.rs": "//! A crate.\n\n/// The message is in hand.\nfn message() {}\n",
    "crates/b/src/lib.rs": "//! A crate.\n\nfn message() {\n    info!(\"the message is in hand\");\n}\n",
    "crates/c/src/lib.rs": "//! A crate.\n\nfn count() {}\nfn count_in_hand() {}\n",
    "scripts/lib/a.py": "\"\"\"A module.\"\"\"\n\n# What is in hand.\n",
    "scripts/b": "#!/usr/bin/env python3\n\nprint('in hand')\n",
    "scripts/c": "#!/usr/bin/env bash\n\necho 'in hand'\n",
    "Cargo.toml": "[dependencies]\n# Messages in hand.\nserde = \"1\"\n",
    "deploy/prometheus/gavel.rules.yml": "groups:\n  # Messages in hand.\n",
    "deploy/nats/accounts.conf": "accounts {\n  # Messages in hand.\n}\n",
    "deploy/grafana/gavel.json": "{\n \"title\": \"Messages in hand\"\n}\n",
    "deploy/default.env": "# Settings.\n\n# messages in hand at once\n#SLOTS=1\n",
    "proto/gavel/v1/a.proto": "syntax = \"proto3\";\n\n// Messages in hand.\n",
    "convex/README.md": "# Title\n\nThe submission is in hand.\n",
    "convex/src/client/a.ts": "const letter = 'a';\n// The message is in hand.\n",
    "convex/src/client/b.ts": "/**\n * A message in hand.\n */\nconst a = 1;\n",
    "convex/src/client/c.ts": "throw new Error(`message ${id}\n is in hand`);\n",
    "convex/src/client/d.test.ts": "test(\"a message in hand\", () => {});\n",
    "convex/src/react/a.tsx": "const a = <p className=\"b\">\n  The program is in hand.\n</p>;\n",
    "convex/src/react/b.tsx": "const a = <p>{count} programs in hand</p>;\n",
    "convex/example/index.html": "<body>\n<p>The program is in hand.</p>\n</body>\n",
    "convex/example/src/style.css": ".a { letter-spacing: 0 }\n/* Programs in hand. */\n",
    "convex/scripts/a.js": "// Run what is in hand.\nrun();\n",
}


class Phrases(unittest.TestCase):
    def test_a_planted_phrase_is_found_in_each_kind_of_file(self) -> None:
        for path, text in PLANTED.items():
            with self.subTest(path=path):
                self.assertTrue(prose.is_checked(path))
                found = prose.check(path, text)
                self.assertEqual([finding.phrase.replace("_", " ").lower() for finding in found], ["in hand"])
                self.assertIn("in hand", text.splitlines()[found[0].line - 1].replace("_", " "))
                self.assertRegex(str(found[0]), rf"^{path}:\d+: in.hand: unusual English: say in progress, assigned$")

    def test_each_rule_finds_an_example(self) -> None:
        examples = [
            "one of the URLs is none", "nothing where the stream is missing", "the stream is not there", "all that is stored",
            "so many messages", "whoever asks", "somebody", "nobody waits", "the one before", "a fault of ours", "it says so",
            "Convex is told twice", "tells Convex", "in hand", "came to an end", "NATS does not let us", "is let in", "is away",
            "with Convex away", "fetched anew", "`a.rs` beside it", "nothing but for this", "for want of memory", "in vain",
            "lost for good", "mends it", "a server of its own", "a submission's being accepted", "figures", "in its own words",
            "makes amends", "has the last word", "its fate", "PATIENCE_S", "a stand-in", "a value to stand in", "misbehaves",
            "old letters", "graves", "overslept", "the whole line", "fn what_is_judged_waits()", "fn one_that_sleeps()"]
        self.assertEqual(len(examples), len(prose.RULES))
        for example, (rule, pattern) in zip(examples, prose.COMPILED):
            with self.subTest(example=example):
                self.assertIsNotNone(pattern.search(example), rule.pattern)

    def test_a_phrase_that_goes_on_in_the_next_line_is_found(self) -> None:
        for path, text in (("a.rs", "/// The message is in\n    /// hand.\n"), ("a.md", "The message is in\nhand.\n"),
                           ("a.rs", "const HELP: &str = \"the message is in \\\n    hand\";\n")):
            self.assertEqual([(found.line, found.phrase) for found in prose.check(path, text)], [(1, "in hand")], text)

    def test_plain_text_passes(self) -> None:
        for text in ("The program runs as nobody.", "Metrics: `gavel_queue_in_hand`.", "`TOLD_RUNNING` of `enum Told`",
                     "The line ends with a full stop.",
                     "dead letters, lower-case letters; letters, digits and dots", "I recommend to amend the file.", "It returns `None` if it is missing."):
            self.assertEqual(prose.check("docs/a.md", text), [], text)

    def test_code_is_no_prose(self) -> None:
        self.assertEqual(prose.check("a.rs", "let letter = 'a'; let beside: &'a str = r#\"x\"#; if figure.is_none() {}"), [])
        self.assertEqual(prose.check("a.py", "letter = beside if figure is None else ours\n"), [])
        self.assertEqual(prose.check("a.ts", "const letter: Figure<A> = beside > ours ? theirs : 1; // A list.\n"), [])
        self.assertEqual(prose.check("a.tsx", "const a = (letter) => <Figure a={beside}>Question</Figure>;\n"), [])

    def test_names_of_tests_put_the_subject_first(self) -> None:
        self.assertEqual(len(prose.check("a.rs", "fn what_is_judged_again_waits() {}\n")), 1)
        self.assertEqual(prose.check("a.rs", "fn rejudge_waits_for_pending_callback() {}\n"), [])

    def test_recordings_submitted_programs_and_generated_code_are_left_out(self) -> None:
        for path in ("convex/src/component/_generated/api.ts", "convex/src/wire/openapi.ts", "convex/package-lock.json",
                     "Cargo.lock", "services/judge/tests/corpus/aborts/main.c", "crates/judge0/tests/recorded/README.md"):
            self.assertFalse(prose.is_checked(path), path)

    def test_the_script_exits_1_on_a_finding(self) -> None:
        with tempfile.TemporaryDirectory(dir=ROOT, prefix=".prose-") as folder:
            for text, code in (("The service answers 503.\n", 0), ("The caller is told 503.\n", 1)):
                file = Path(folder) / "a.md"
                file.write_text(text, encoding="utf-8")
                done = subprocess.run([sys.executable, str(SCRIPTS / "prose"), str(file)], capture_output=True, text=True,
                                      check=False)
                self.assertEqual(done.returncode, code, done.stdout + done.stderr)
                self.assertEqual("told" in done.stdout, code == 1)


class NamedTests(unittest.TestCase):
    SOURCES = named_tests.sources({"crates/cli/tests/it/crash.rs": "mod line {}\n#[test]\nfn killed_judge() {}\n",
                                   "crates/sandbox/src/probe.rs": "fn look() {}\n"})

    def missing(self, text: str) -> list[str]:
        return [finding.phrase for finding in named_tests.check("docs/a.md", text, self.SOURCES)]

    def test_names_that_exist(self) -> None:
        for name in ("crash::killed_judge", "crash::*", "crash::killed_*", "crash::line::*", "gavel_sandbox::probe", "crash::line"):
            self.assertEqual(self.missing(f"proved by `{name}`"), [], name)

    def test_names_that_do_not_exist(self) -> None:
        for name in ("crash::killed_reporter", "other::*", "crash::gone_*", "a_test_that_was_renamed_since"):
            self.assertEqual(self.missing(f"line\nproved by `{name}`"), [name])

    def test_types_of_the_glossary_must_exist(self) -> None:
        files = {"crates/domain/src/ids.rs": "pub struct Key(u64);\n", "proto/src/lib.rs": "pub enum WireEvent {}\n"}
        text = "`Gone` in `domain`\n## Glossary\n\n| a | `Key`, `Lost` in `domain`; `WireEvent` in `proto` |\n\n## Next\n"
        found = named_tests.missing_types("CONTRIBUTING.md", text, files)
        self.assertEqual([(finding.line, finding.phrase) for finding in found], [(4, "Lost")])

    def test_metrics_are_no_tests(self) -> None:
        self.assertEqual(self.missing("`gavel_http_request_duration_seconds` `discard_new_per_subject` `std`"), [])


class Links(unittest.TestCase):
    OTHER = "# Title\n\n## A full disk\n\n### `gavel up`, and more\n\n```sh\n# No heading\n```\n\n## A full disk\n"

    def broken(self, text: str) -> list[tuple[int, str]]:
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "docs").mkdir()
            (Path(folder) / "docs" / "other.md").write_text(self.OTHER, encoding="utf-8")
            return [(finding.line, finding.phrase) for finding in links.check("docs/a.md", text, Path(folder))]

    def test_links_to_files_and_headings_that_exist(self) -> None:
        for link in ("other.md", "other.md#a-full-disk", "other.md#a-full-disk-1", "other.md#gavel-up-and-more", "../docs",
                     "#here", "https://example.com/missing.md"):
            self.assertEqual(self.broken(f"## Here\n\nSee [it]({link}).\n"), [], link)

    def test_links_that_lead_nowhere(self) -> None:
        for link in ("missing.md", "other.md#no-heading", "other.md#a-full-disk-2", "#there", "../other.md"):
            self.assertEqual(self.broken(f"## Here\n\nSee [`it`]({link}).\n"), [(3, link)])

    def test_code_has_no_links(self) -> None:
        self.assertEqual(self.broken("`[it](missing.md)`\n\n```md\n[it](missing.md)\n```\n"), [])

    def test_the_documents_of_the_repository_are_checked(self) -> None:
        documents = [path for path in prose.tracked_files() if links.is_checked(path)]
        self.assertGreater(len(documents), 10)
        count = 0
        for path in documents:
            text = (ROOT / path).read_text(encoding="utf-8")
            count += len(links.LINK.findall(text))
            self.assertEqual(links.check(path, text, ROOT), [])
        self.assertGreater(count, 50)


if __name__ == "__main__":
    unittest.main()
