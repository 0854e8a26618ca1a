"""Links between documents: each must lead to a file that exists and, after a `#`, to one of its headings."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from posixpath import normpath

from lib.prose import Finding

LINK = re.compile(r"\]\((?![a-z]+:)([^)\s]*)\)")
HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.MULTILINE)
BLOCK = r"^( *)(```|~~~).*?^\1\2"
CODE = re.compile(BLOCK + r"|`[^`\n]*`", re.MULTILINE | re.DOTALL)


def is_checked(path: str) -> bool:
    """Whether a file of the repository is a document with links."""
    return path.endswith(".md")


def anchors(text: str) -> set[str]:
    """The anchors of a document's headings, as GitHub makes them."""
    plain = re.sub(BLOCK, "", text, flags=re.MULTILINE | re.DOTALL)
    found: set[str] = set()
    for heading in HEADING.findall(plain):
        title = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading)
        anchor = re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
        copies = [anchor, *(f"{anchor}-{n}" for n in range(1, len(found) + 1))]
        found.add(next(copy for copy in copies if copy not in found))
    return found


def check(path: str, text: str, root: Path) -> list[Finding]:
    """Each link of a document that leads nowhere."""
    found = []
    plain = CODE.sub(lambda match: re.sub(r"[^\n]", " ", match.group()), text)
    for match in LINK.finditer(plain):
        problem = problem_of(match[1], path, text, root)
        if problem:
            line = text.count("\n", 0, match.start()) + 1
            found.append(Finding(path, line, match[1], problem, "the path and the heading that exist"))
    return found


def problem_of(link: str, path: str, text: str, root: Path) -> str | None:
    """What is wrong with a link in a document; None if nothing is."""
    target, _, anchor = link.partition("#")
    if target:
        file = root / normpath(PurePosixPath(path).parent / target)
        if not file.exists():
            return "the link leads to no file"
        if not anchor or not is_checked(file.name):
            return None
        text = file.read_text(encoding="utf-8")
    return None if anchor in anchors(text) else "the link leads to no heading"
