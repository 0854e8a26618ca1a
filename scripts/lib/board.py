"""The output of the demo: one line per submission as it progresses, then a table."""

from __future__ import annotations

import shutil
import sys
import threading
import unicodedata
from typing import TextIO


def width(text: str) -> int:
    """The width of a text on a terminal, in columns."""
    wide = sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)
    return wide - sum(1 for char in text if unicodedata.combining(char) or unicodedata.category(char) == "Cf")


def pad(text: str, columns: int) -> str:
    """The text, padded with blanks to a number of columns."""
    return text + " " * (columns - width(text))


def cut(text: str, columns: int) -> str:
    """The text, cut to at most a number of columns."""
    if width(text) <= columns:
        return text
    while text and width(text) > columns - 1:
        text = text[:-1]
    return text + "…"


def table(head: list[str], rows: list[list[str]]) -> str:
    """A table with aligned columns and headings."""
    columns = [max(width(row[index]) for row in [head, *rows]) for index in range(len(head))]
    rule = ["─" * column for column in columns]
    lines = ["  ".join(pad(cell, column) for cell, column in zip(row, columns)).rstrip() for row in [head, rule, *rows]]
    return "\n".join(lines)


class Board:
    """The submissions in progress: redrawn in place on a terminal; otherwise one line when each has finished."""

    def __init__(self, output: TextIO = sys.stdout) -> None:
        self._output = output
        self._live = output.isatty()
        self._lock = threading.Lock()
        self._in_progress: dict[str, str] = {}
        self._drawn = 0

    def show(self, title: str, line: str) -> None:
        """Show the progress of a submission."""
        with self._lock:
            self._in_progress[title] = line
            if self._live:
                self._redraw([])

    def finish(self, title: str, line: str) -> None:
        """Show that a submission has finished."""
        with self._lock:
            self._in_progress.pop(title, None)
            if self._live:
                self._redraw([line])
            else:
                print(line, file=self._output, flush=True)

    def _redraw(self, finished: list[str]) -> None:
        """Overwrite the lines in progress; finished lines stay above them."""
        columns = shutil.get_terminal_size().columns
        up = f"\x1b[{self._drawn}A\r\x1b[J" if self._drawn else ""
        in_progress = [cut(line, columns - 1) for line in self._in_progress.values()]
        self._output.write(up + "".join(f"{line}\n" for line in finished + in_progress))
        self._output.flush()
        self._drawn = len(in_progress)
