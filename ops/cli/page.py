"""What the command line prints: data on stdout, talk on stderr, colour only where it is wanted.

Every state is a word as well, so nothing is lost without colour.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TextIO

import msgspec

from ops.check import Check

STYLES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "magenta": "35", "cyan": "36"}
PATIENCE_S = 1.0
"""From here on people want to see that something happens."""
STATE_STYLE = {
    "guarding": "green",
    "active": "green",
    "ok": "green",
    "live": "green",
    "running": "green",
    "confirmed": "green",
    "reducing": "yellow",
    "near": "yellow",
    "degraded": "yellow",
    "locked": "magenta",
    "halted": "magenta",
    "breached": "red",
    "failed": "red",
    "refused": "red",
    "unknown": "yellow",
    "blind": "red",
    "down": "red",
    "safe_mode": "red",
}


class ReaderGone(Exception):
    """Whoever read the output had enough (`| head`): nothing is left to say, nor anywhere to say it.

    Not an OSError: the parser's library would end the process with 1 for that.
    """


class Page:
    """Where one command prints. `when` is `auto`, `always` or `never` (colour)."""

    def __init__(self, when: str = "auto", out: TextIO | None = None) -> None:
        self._out = out or sys.stdout
        self.coloured = when == "always" or (when == "auto" and self._wants_colour())
        self._can_draw = (self._out.encoding or "").lower().replace("-", "") in ("utf8", "utf8sig")

    def _wants_colour(self) -> bool:
        return self._out.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"

    def line(self, text: str = "") -> None:
        try:
            print(text, file=self._out)
        except BrokenPipeError:
            raise ReaderGone from None

    def json(self, value: object) -> None:
        """One object on one line."""
        self.line(msgspec.json.encode(value).decode())

    def styled(self, text: str, style: str | None) -> str:
        return f"\x1b[{STYLES[style]}m{text}\x1b[0m" if self.coloured and style else text

    def state(self, word: str) -> str:
        """A state as its word, coloured by what it means."""
        return self.styled(word, STATE_STYLE.get(word.strip().lower()))

    def finding(self, check: Check) -> str:
        """One line of a check-up, with the cure where it does not hold."""
        word = {True: "ok", False: "failed", None: "note"}[check.ok]
        cure = f" -> {check.cure}" if check.cure and check.ok is not True else ""
        return f"  {self.state(word.ljust(6))}  {check.name}: {check.fact}{cure}"

    def dot(self, state: str) -> str:
        return self.styled("\u25cf" if self._can_draw else "*", STATE_STYLE.get(state))

    def table(self, head: Sequence[str], rows: Iterable[Sequence[str]], right: Iterable[int] = ()) -> None:
        """Columns as wide as their widest cell; the ones in `right` are set flush right."""
        flush_right = set(right)
        lines = [tuple(head), *(tuple(row) for row in rows)]
        widths = [max(_width(line[column]) for line in lines) for column in range(len(head))]
        for number, line in enumerate(lines):
            cells = [
                _padded(cell, width, column in flush_right)
                for column, (cell, width) in enumerate(zip(line, widths, strict=True))
            ]
            text = "  ".join(cells).rstrip()
            self.line("  " + (self.styled(text, "dim") if number == 0 else text))


def _width(cell: str) -> int:
    return len(_bare(cell))


def _bare(cell: str) -> str:
    if "\x1b" not in cell:
        return cell
    first, *styled = cell.split("\x1b[")
    return first + "".join(part.partition("m")[2] for part in styled)


def _padded(cell: str, width: int, right: bool) -> str:
    fill = " " * (width - _width(cell))
    return fill + cell if right else cell + fill


def talk(text: str) -> None:
    """Say something that is not the answer."""
    print(text, file=sys.stderr, flush=True)


@contextmanager
def progress(things: str) -> Iterator[Callable[[int], None]]:
    """Count up on a terminal while something takes longer than a second; `step(n)`: n more are done."""
    began, done = time.monotonic(), 0
    shown = False

    def step(more: int) -> None:
        nonlocal done, shown
        done += more
        if sys.stderr.isatty() and time.monotonic() - began > PATIENCE_S:
            shown = True
            sys.stderr.write(f"\r{done} {things} ")
            sys.stderr.flush()

    try:
        yield step
    finally:
        if shown:
            sys.stderr.write("\r\x1b[K")
