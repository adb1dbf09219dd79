"""An address that keeps what it is told, for tests to wait on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import cast

from actors.address import Answer

PATIENCE = 10.0


class Inbox:
    """`Address` without an actor behind it. Thread-safe."""

    def __init__(self, name: str = "inbox") -> None:
        self.id = name
        self.messages: list[object] = []
        self.latest: dict[Hashable, object] = {}
        self._changed = threading.Condition()

    def tell(self, message: object, *, urgent: bool = False) -> None:
        with self._changed:
            self.messages.append(message)
            self._changed.notify_all()

    def tell_latest(self, key: Hashable, message: object) -> None:
        with self._changed:
            self.latest[key] = message
            self._changed.notify_all()

    def leave(self, message: object) -> None:
        self.tell(message)

    def leave_latest(self, key: Hashable, message: object) -> None:
        self.tell_latest(key, message)

    def rouse(self) -> None:
        """Nobody sleeps here."""

    def ask(self, message: object, timeout_s: float) -> Answer:
        raise NotImplementedError

    def all[T](self, kind: type[T]) -> list[T]:
        with self._changed:
            return [message for message in self.messages if isinstance(message, kind)]

    def wait[T](
        self, kind: type[T], fits: Callable[[T], bool] = lambda message: True, timeout: float = PATIENCE
    ) -> T:
        """The first message of this kind that fits, waiting for it."""
        found: list[T] = []

        def look() -> bool:
            found[:] = [each for each in self.messages if isinstance(each, kind) and fits(each)]
            return bool(found)

        with self._changed:
            if not self._changed.wait_for(look, timeout):
                raise AssertionError(f"{self.id}: no {kind.__name__} as wanted within {timeout} s")
        return found[0]

    def wait_latest[T](
        self, key: Hashable, kind: type[T], fits: Callable[[T], bool] = lambda message: True
    ) -> T:
        def look() -> bool:
            value = self.latest.get(key)
            return isinstance(value, kind) and fits(value)

        with self._changed:
            if not self._changed.wait_for(look, PATIENCE):
                raise AssertionError(f"{self.id}: no {kind.__name__} for {key!r} as wanted")
            return cast(T, self.latest[key])

    def clear(self) -> None:
        with self._changed:
            self.messages.clear()
            self.latest.clear()
