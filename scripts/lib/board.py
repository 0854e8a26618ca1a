"""What the demo shows: one line for each submission as it moves, then a table."""

from __future__ import annotations

import shutil
import sys
import threading
import unicodedata
from typing import TextIO


def width(text: str) -> int:
    """The columns that a text takes on a terminal."""
    wide = sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)
    return wide - sum(1 for char in text if unicodedata.combining(char) or unicodedata.category(char) == "Cf")


def pad(text: str, columns: int) -> str:
    """A text filled with blanks up to a number of columns."""
    return text + " " * (columns - width(text))


def cut(text: str, columns: int) -> str:
    """A text that takes at most a number of columns."""
    if width(text) <= columns:
        return text
    while text and width(text) > columns - 1:
        text = text[:-1]
    return text + "…"


def table(head: list[str], rows: list[list[str]]) -> str:
    """Aligned columns under their headings."""
    columns = [max(width(row[index]) for row in [head, *rows]) for index in range(len(head))]
    rule = ["─" * column for column in columns]
    lines = ["  ".join(pad(cell, column) for cell, column in zip(row, columns)).rstrip() for row in [head, rule, *rows]]
    return "\n".join(lines)


class Board:
    """The submissions under way, redrawn in place on a terminal, one line at its end otherwise."""

    def __init__(self, output: TextIO = sys.stdout) -> None:
        self._output = output
        self._live = output.isatty()
        self._lock = threading.Lock()
        self._moving: dict[str, str] = {}
        self._drawn = 0

    def show(self, title: str, line: str) -> None:
        """A submission moved on."""
        with self._lock:
            self._moving[title] = line
            if self._live:
                self._redraw([])

    def finish(self, title: str, line: str) -> None:
        """A submission came to its end."""
        with self._lock:
            self._moving.pop(title, None)
            if self._live:
                self._redraw([line])
            else:
                print(line, file=self._output, flush=True)

    def _redraw(self, finished: list[str]) -> None:
        """Write over what is moving; finished lines stay above it."""
        columns = shutil.get_terminal_size().columns
        up = f"\x1b[{self._drawn}A\r\x1b[J" if self._drawn else ""
        moving = [cut(line, columns - 1) for line in self._moving.values()]
        self._output.write(up + "".join(f"{line}\n" for line in finished + moving))
        self._output.flush()
        self._drawn = len(moving)
