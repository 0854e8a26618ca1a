"""The prose check: phrases that must not appear in docs, help, logs, errors, comments and names, and what to write instead.

A rule matches prose (comments, documentation, string literals), or prose and names of items alike. A blank in a pattern
matches any white space, also a line break between two lines of one comment; in names it matches an underscore, too.
"""

from __future__ import annotations

import io
import re
import subprocess
import tokenize
from pathlib import Path
from typing import Iterator, NamedTuple

from lib.project import ROOT, Problem


class Rule(NamedTuple):
    """A phrase to avoid: a regular expression without flags, why to avoid it, and what to write instead."""

    pattern: str
    reason: str
    say: str
    names: bool = False

    def compiled(self) -> re.Pattern[str]:
        """The pattern, case-insensitive, on whole words."""
        if self.names:
            return re.compile(r"(?<![A-Za-z])(?:" + self.pattern.replace(" ", r"[\s_-]+") + r")(?![a-z])", re.IGNORECASE)
        return re.compile(r"\b(?:" + self.pattern.replace(" ", r"\s+") + r")\b", re.IGNORECASE)


METAPHOR = "private metaphor"
VAGUE = "does not name the thing"
UNUSUAL = "unusual English"

RULES = (
    # Sentences that name nothing.
    Rule(r"(?<!there\s)(?:is|are|was|were) none", VAGUE, "name what is wrong: `invalid URL`, `no such stream`"),
    Rule(r"(?:nothing|none) where", VAGUE, "returns `None` if …"),
    Rule(r"(?:is|are|was|were) not there", VAGUE, "does not exist, is missing"),
    Rule(r"all that", VAGUE, "everything, or name the things"),
    Rule(r"so many", VAGUE, "the number of …"),
    Rule(r"whoever|whomever", VAGUE, "name the role: the operator, the service, the caller"),
    Rule(r"somebody", VAGUE, "name the role, or someone"),
    # `nobody` is also a user of the system.
    Rule(r"(?<!as\s)(?<!user\s)(?<!chown\s)(?<![`\"'/])nobody(?![`\"'/:])", VAGUE, "no service, no client, no one"),
    Rule(r"the one before", VAGUE, "the previous …"),
    Rule(r"ours|theirs", VAGUE, "name the owner: Gavel's, this instance's, the judge's"),
    Rule(r"says so|said so", VAGUE, "logs it, reports it; say what it reports"),
    # Words with another meaning in this field.
    Rule(r"told", UNUSUAL, "notified, called, reported; of two things: distinguished", names=True),
    Rule(r"tell(?:s|ing)? convex", UNUSUAL, "notify Convex, call Convex"),
    Rule(r"in hand", UNUSUAL, "in progress, assigned", names=True),
    Rule(r"(?:comes?|came|coming) to (?:an|its|their) end", UNUSUAL, "ends, completes, exits", names=True),
    Rule(r"(?:does not|do not|did not) let us", UNUSUAL, "permission denied"),
    Rule(r"(?:is|are) let in|let in only", UNUSUAL, "allowed"),
    Rule(r"(?:is|are|was|were|been|goes|went) away", UNUSUAL, "unreachable, disconnected", names=True),
    Rule(r"(?:nats|convex|judge0) away", UNUSUAL, "unreachable, disconnected"),
    Rule(r"afresh|anew", UNUSUAL, "again", names=True),
    Rule(r"beside", UNUSUAL, "next to, together with"),
    Rule(r"but for", UNUSUAL, "except"),
    Rule(r"for want of", UNUSUAL, "lacks, has no …"),
    Rule(r"in vain", UNUSUAL, "without success, without effect"),
    Rule(r"for good", UNUSUAL, "permanently, finally"),
    Rule(r"mend(?:s|ed|ing)?", UNUSUAL, "fix", names=True),
    # Not before a noun: "the acknowledgement of its own message".
    Rule(r"of (?:its|their|one's) own(?=[^\w\s]|\s+(?:in|on|for|with|at|to|and|or|that|which|by|from|as|under|below|unless|when"
         r"|since|so|if|is|are|was|were|where)\b|\s*$)", UNUSUAL, "its own …, a separate …"),
    Rule(r"\w+'s (?:being|having)", UNUSUAL, "use a verb: from the time that … until …"),
    Rule(r"figures?", UNUSUAL, "metric, measurement, number"),
    Rule(r"(?:its|their|own) words", UNUSUAL, "the message, the text"),
    # Metaphors.
    Rule(r"(?:makes?|made|making) (?:amends|good for)|amends", METAPHOR, "sends the result again", names=True),
    Rule(r"last word", METAPHOR, "the final result", names=True),
    Rule(r"fate", METAPHOR, "outcome, state", names=True),
    Rule(r"patience", METAPHOR, "timeout, deadline", names=True),
    Rule(r"stand-?in", METAPHOR, "mock", names=True),
    Rule(r"stand in", METAPHOR, "mock; of a value: placeholder"),
    Rule(r"misbehav(?:es?|ed|ing|iour)", METAPHOR, "fault injection; fails, is faulty", names=True),
    Rule(r"(?<!dead\s)(?<!dead-)(?<!case\s)(?<!capital\s)(?<!ascii\s)(?<!to\sthe\s)letters?(?!,? (?:and |or )?digits)",
         METAPHOR, "dead letter, dead-letter stream"),
    Rule(r"deaf(?:ness)?|census|graves?|buried|bury|sky|seats?", METAPHOR, "the term in CONTRIBUTING's glossary", names=True),
    Rule(r"overslept|oversleeps?", METAPHOR, "was suspended for longer than …", names=True),
    Rule(r"(?:whole|production) line|(?:breaks?|starts?|runs?|watch(?:es)?) the line|(?<!on\s)(?<!of\s)the line"
         r" (?:at work|works|goes on|keeps up)|line that keeps up", METAPHOR, "the pipeline"),
    # Names of tests put the subject first.
    Rule(r"fn what_\w+", "the test's name does not name its subject", "subject first: rejudge_waits_for_pending_callback",
         names=True),
    Rule(r"fn (?:one|those|some) (?:that|who|whose)_\w+", "the test's name does not name its subject",
         "subject first: rejudge_waits_for_pending_callback", names=True),
)

COMPILED = [(rule, rule.compiled()) for rule in RULES]

# Parts of public interfaces, which cannot change: metric names, ids of callbacks, JSON fields, protobuf names.
INTERFACES = re.compile(r"gavel_queue_in_hand|last-word-|[\"`]last-word[\"`]|\"letters\"|v1::Told|enum Told|TOLD_[A-Z]+"
                        r"|Told of = 1")

SCRIPTS = (".ts", ".tsx", ".js", ".css")
SUFFIXES = {".rs", ".md", ".py", ".toml", ".yml", ".yaml", ".proto", ".conf", ".env", ".json", ".sh", ".html", *SCRIPTS}
# Programs of learners, recordings, generated code, and the two files that must name the phrases.
EXCLUDED = re.compile(r"services/judge/tests/corpus/.*/main\.|.*/recorded/|.*/golden/|samples/programs/|.*\.snap$"
                      r"|.*/_generated/|convex/src/wire/openapi\.ts|proto/generated/|.*/package-lock\.json|crates/console/dist/"
                      r"|Cargo\.lock|fuzz/Cargo\.lock|scripts/lib/prose\.py|scripts/tests/test_prose\.py|_typos\.toml")

RUST = re.compile(r"""(?P<prose>//[^\n]*|/\*.*?\*/
                      |(?<![A-Za-z0-9_])(?:b|c)?r(?P<hash>\#*)".*?"(?P=hash)
                      |(?:b|c)?"(?:\\.|[^"\\])*")
                      |'(?:\\[^']+|[^'\\\n])'""", re.DOTALL | re.VERBOSE)
# Comments and strings of TypeScript, JavaScript and CSS. In JSX, the text between tags is prose, too.
SCRIPT = re.compile(r"""//[^\n]*|/\*.*?\*/|`(?:\\.|[^`\\])*`|"(?:\\.|[^"\\\n])*"|(?<![A-Za-z])'(?:\\.|[^'\\\n])*'""", re.DOTALL)
JSX_TEXT = re.compile(r"(?<![=-])[>}](?P<prose>[^<>{}]*[A-Za-z][^<>{}]*)(?=[<{])")
LEADER = re.compile(r"^([ \t]*)(?:///?!?|//!|#+|\*|--)(?=[ \t]|$)", re.MULTILINE)


class Finding(NamedTuple):
    """A phrase found, and where."""

    path: str
    line: int
    phrase: str
    reason: str
    say: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.phrase}: {self.reason}: say {self.say}"


def is_checked(path: str) -> bool:
    """Whether the check covers a file of the repository."""
    if EXCLUDED.match(path):
        return False
    return Path(path).suffix in SUFFIXES or path.startswith((".ci/", "scripts/"))


def check(path: str, text: str) -> list[Finding]:
    """The findings in one file, in the order of its lines."""
    blanked = INTERFACES.sub(lambda match: " " * len(match.group()), text)
    prose, whole = without_code(path, blanked), without_leaders(blanked)
    found = []
    for rule, pattern in COMPILED:
        for match in pattern.finditer(whole if rule.names else prose):
            line = text.count("\n", 0, match.start()) + 1
            phrase = " ".join(match.group().split())
            found.append(Finding(path, line, phrase, rule.reason, rule.say))
    return sorted(found, key=lambda each: each.line)


def without_leaders(text: str) -> str:
    """The text with the marks of comments blanked, so that a phrase can go on in the next line."""
    plain = LEADER.sub(lambda match: " " * len(match.group()), text)
    return re.sub(r"\\\n", " \n", plain)


def without_code(path: str, text: str) -> str:
    """The text with everything but prose replaced by a character that no pattern matches; the lines stay."""
    if path.endswith(SCRIPTS):
        regions = script_prose(text, jsx=path.endswith(".tsx"))
    elif path.endswith(".rs"):
        regions = [match.span("prose") for match in RUST.finditer(text) if match.group("prose") is not None]
    elif path.endswith(".py") or text.startswith("#!/usr/bin/env python3"):
        regions = list(python_prose(text))
    else:
        return without_leaders(text)
    parts, end = [], 0
    for start, stop in regions:
        parts += [re.sub(r"\S", "\0", text[end:start]), text[start:stop]]
        end = stop
    return without_leaders("".join([*parts, re.sub(r"\S", "\0", text[end:])]))


def script_prose(text: str, jsx: bool) -> list[tuple[int, int]]:
    """Where the comments, strings and, in JSX, texts of a TypeScript source begin and end."""
    regions = [match.span() for match in SCRIPT.finditer(text)]
    if jsx:
        regions += [match.span("prose") for match in JSX_TEXT.finditer(text)]
    merged: list[tuple[int, int]] = []
    for start, stop in sorted(regions):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(stop, merged[-1][1]))
        else:
            merged.append((start, stop))
    return merged


def python_prose(text: str) -> Iterator[tuple[int, int]]:
    """Where the comments and strings of a Python source begin and end."""
    begins = [0]
    for line in text.splitlines(keepends=True):
        begins.append(begins[-1] + len(line))
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in (tokenize.COMMENT, tokenize.STRING) or tokenize.tok_name[token.type] == "FSTRING_MIDDLE":
            yield begins[token.start[0] - 1] + token.start[1], begins[token.end[0] - 1] + token.end[1]


def tracked_files() -> list[str]:
    """The files of the repository that the check covers, from git."""
    done = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"], cwd=ROOT,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise Problem("git could not list the files (see above)")
    return [path for path in sorted(set(done.stdout.split("\0"))) if path and is_checked(path) and (ROOT / path).is_file()]
