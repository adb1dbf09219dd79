"""A written configuration as a tree that knows the place of every key and value.

Scalars stay text as written (null apart): the schema reads `0.10` exactly and `007` whole, and `17:00` and
`off` are never taken for something else.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from config.mistakes import Mistake, shown_line

type Path = tuple[str | int, ...]
type Plain = str | dict[str, Plain] | list[Plain] | None

_NULLS = ("", "~", "null", "Null", "NULL")


@dataclass(frozen=True, slots=True)
class Place:
    """A position in a source; line and column from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Node:
    """A value and its place; in a mapping also the place of its key."""

    value: "str | dict[str, Node] | list[Node] | None"
    place: Place
    key_place: Place | None = None


@dataclass(slots=True)
class Source:
    """One file or argument being read, and the mistakes found in it."""

    file: str
    text: str
    mistakes: list[Mistake]

    def mistake(self, place: Place, key: Path, text: str, hint: str = "") -> None:
        """Note a mistake at a place of this source."""
        line = shown_line(self.text, place.line)
        self.mistakes.append(Mistake(place.file, place.line, place.column, dotted(key), text, hint, line))


def dotted(path: Path) -> str:
    """A path as it is written on the command line: `rules.max_contracts.limit`, `accounts.0.name`."""
    return ".".join(str(step) for step in path)


def typed(text: str) -> str | None:
    """A plain scalar's text; None where YAML says null."""
    return None if text in _NULLS else text


def overlay(under: Node, over: Node) -> Node:
    """Two trees merged key by key; lists and scalars of the later one replace those of the earlier."""
    if not isinstance(under.value, dict) or not isinstance(over.value, dict):
        return over
    merged = dict(under.value)
    for key, value in over.value.items():
        merged[key] = overlay(merged[key], value) if key in merged else value
    return replace(under, value=merged)


def plain(node: Node) -> Plain:
    """The values alone, as the schema reads them."""
    match node.value:
        case dict():
            return {key: plain(value) for key, value in node.value.items()}
        case list():
            return [plain(item) for item in node.value]
        case _:
            return node.value


def step_into(node: Node, step: str | int) -> Node | None:
    """The child under a key or index, or None."""
    match node.value:
        case dict():
            return node.value.get(str(step))
        case list() if isinstance(step, int) and step < len(node.value):
            return node.value[step]
        case _:
            return None


def locate(node: Node, path: Path) -> Node:
    """The node at the path, or the innermost one on the way that exists."""
    for step in path:
        inner = step_into(node, step)
        if inner is None:
            break
        node = inner
    return node


def leaves(node: Node, path: Path = ()) -> Iterator[tuple[Path, Node]]:
    """Every scalar (and empty list or mapping) with its path."""
    children: list[tuple[str | int, Any]] = []
    if isinstance(node.value, dict):
        children = list(node.value.items())
    elif isinstance(node.value, list):
        children = list(enumerate(node.value))
    if not children:
        yield path, node
    for step, child in children:
        yield from leaves(child, (*path, step))
