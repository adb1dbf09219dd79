"""One mistake in a configuration, where it stands and how to mend it; and all of them at once.

Standard library only: the command line prints mistakes that it received as data.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from config.errors import OperatorMustAct

_HOLDS_SECRET = re.compile(r"(api_?key|secret|password|token|\bto)[\"']?\s*:", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Mistake:
    """What cannot be used, at `line` and `column` (from 1) of `file`; `key` is dotted."""

    file: str
    line: int
    column: int
    key: str
    text: str
    hint: str = ""
    source: str = ""
    """The line as it stands in the file; empty where it may hold a secret."""

    def __str__(self) -> str:
        hint = f". {self.hint}" if self.hint else ""
        return f"{self.file}:{self.line}:{self.column}: {self.text}{hint}"

    def with_caret(self) -> str:
        """The mistake, the line it stands in and a caret under the place."""
        if not self.source:
            return str(self)
        shown = self.source.replace("\t", " ")
        return f"{self}\n    {shown}\n    {' ' * (self.column - 1)}^"


class ConfigurationMistakes(OperatorMustAct, ValueError):
    """A configuration that cannot be used, with every mistake in it. The program ends with 78."""

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        super().__init__("\n".join(str(mistake) for mistake in mistakes))
        self.mistakes = tuple(mistakes)


def rendered(mistakes: Iterable[Mistake]) -> str:
    """Every mistake with its line and caret, for a terminal."""
    return "\n".join(mistake.with_caret() for mistake in mistakes)


def shown_line(text: str, line: int) -> str:
    """Line `line` (from 1) of the text, or nothing where it may hold a secret."""
    lines = text.splitlines()
    if not 0 < line <= len(lines) or _HOLDS_SECRET.search(lines[line - 1]):
        return ""
    return lines[line - 1]
