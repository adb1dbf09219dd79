"""The older files as they are read: every key is asked for once, and none is left without a word."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

type Outcome = Literal["taken over", "converted", "dropped"]
TAKEN: Outcome = "taken over"
CONVERTED: Outcome = "converted"
DROPPED: Outcome = "dropped"


@dataclass(frozen=True)
class Line:
    """What became of one older key."""

    file: str
    key: str
    outcome: Outcome
    to: str = ""
    why: str = ""


@dataclass
class Page:
    """One older file, or a part of one. `take` marks a key as seen."""

    file: str
    values: dict[str, Any]
    lines: list[Line] = field(default_factory=list)
    at: str = ""
    seen: set[str] = field(default_factory=set)

    def part(self, key: str) -> Page:
        """What stands under a key; empty where nothing does."""
        inner = self.look(key)
        below = inner if isinstance(inner, dict) else {}
        return Page(self.file, below, self.lines, self.path(key), self.seen)

    def path(self, key: str) -> str:
        return f"{self.at}.{key}" if self.at else key

    def look(self, key: str) -> Any:
        value: Any = self.values
        for step in key.split("."):
            value = value.get(step) if isinstance(value, dict) else None
        return value

    def has(self, key: str) -> bool:
        return self.look(key) is not None

    def take(self, key: str, to: str, why: str = "", outcome: Outcome | None = None) -> Any:
        """The value of a key that goes to `to`; None where it is not there. With a reason it is converted."""
        if not self._is_there(key):
            return None
        self.note(key, outcome or (CONVERTED if why else TAKEN), to, why)
        return self.look(key)

    def drop(self, key: str, why: str) -> Any:
        """The value of a key that has no place any more."""
        for leaf in list(self.leaves()):
            if leaf == key or leaf.startswith(f"{key}."):
                self.note(leaf, DROPPED, "", why)
        return self.look(key)

    def note(self, key: str, outcome: Outcome, to: str = "", why: str = "") -> None:
        if self.path(key) not in self.seen:
            self.seen.add(self.path(key))
            self.lines.append(Line(self.file, self.path(key), outcome, to, why))

    def _is_there(self, key: str) -> bool:
        above, _, last = key.rpartition(".")
        holder = self.look(above) if above else self.values
        return isinstance(holder, dict) and last in holder

    def leaves(self) -> Iterator[str]:
        yield from _leaves(self.values, "")

    def drop_rest(self) -> None:
        """Say of whatever nobody asked for that it is not known."""
        for leaf in self.leaves():
            if not any(self.path(leaf) == key or self.path(leaf).startswith(f"{key}.") for key in self.seen):
                self.note(leaf, DROPPED, "", "no older version is known to have had this key")


def _leaves(value: Any, key: str) -> Iterator[str]:
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from _leaves(inner, f"{key}.{name}" if key else str(name))
    elif key:
        yield key


def put(document: dict[str, Any], key: str, value: Any) -> None:
    """Set a dotted key; what is None is left out."""
    if value is None:
        return
    *above, last = key.split(".")
    for step in above:
        document = document.setdefault(step, {})
    document[last] = value


def number(value: Any) -> float:
    """A number as the older files had it. ValueError, with the value, for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"{value!r} is not a number")
    try:
        found = float(value)
    except (ValueError, OverflowError):
        raise ValueError(f"{value!r} is not a number") from None
    if not abs(found) < 1e12:
        raise ValueError(f"{value!r} is not a number of this world")
    return found


def seconds(value: Any) -> str | None:
    """A number of seconds, or a duration, as a duration."""
    if value is None or isinstance(value, str):
        return value
    from datetime import timedelta

    from config.values import duration_text

    return duration_text(timedelta(seconds=min(abs(round(number(value))), 10**9)))
