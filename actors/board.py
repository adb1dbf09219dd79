"""Where actors publish what they last knew, so that nobody has to ask them.

`status`, `watch` and the metrics read from here: a reader never wakes an actor and never waits
for one. Values are immutable; posting replaces the one before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator


class Lazily:
    """A value that is made when somebody reads it; `make` may be called in any thread."""

    __slots__ = ("make",)

    def __init__(self, make: Callable[[], object]) -> None:
        self.make = make


class Board:
    """Latest published value per topic, for example `("snapshot", "PRAC-V2-1001")`."""

    def __init__(self) -> None:
        self._values: dict[tuple[str, ...], object] = {}

    def post(self, topic: tuple[str, ...], value: object) -> None:
        self._values[topic] = value

    def read[T](self, topic: tuple[str, ...], kind: type[T]) -> T | None:
        """The latest value, or None if nothing was published; another kind is our bug."""
        value = self._values.get(topic)
        if type(value) is Lazily:
            value = value.make()
        if value is None:
            return None
        if not isinstance(value, kind):
            raise TypeError(f"board topic {topic} holds {type(value).__name__}, not {kind.__name__}")
        return value

    def shared[T](self, topic: tuple[str, ...], kind: type[T], make: Callable[[], T]) -> T:
        """What was posted there, or what `make` gives: for what outlives the incarnations of its actor."""
        found = self.read(topic, kind)
        if found is None:
            found = make()
            self.post(topic, found)
        return found

    def topics(self, first: str) -> Iterator[tuple[str, ...]]:
        return (topic for topic in list(self._values) if topic[0] == first)
