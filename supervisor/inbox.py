"""The address of the program itself: what actors tell the tree is handled on trio's thread, in order."""

from __future__ import annotations

from collections.abc import Callable, Hashable

import trio

from actors.worker import Answer


class Inbox:
    """An Address whose messages are handed to one function on the main thread."""

    def __init__(self, name: str) -> None:
        self.id = name
        self._token: trio.lowlevel.TrioToken | None = None
        self._take: Callable[[object], None] | None = None

    def open(self, take: Callable[[object], None]) -> None:
        """Deliver from now on; `take` must be quick and must not raise. Call it on trio's thread."""
        self._token = trio.lowlevel.current_trio_token()
        self._take = take

    def tell(self, message: object, *, urgent: bool = False) -> None:
        del urgent
        if self._token is None or self._take is None:
            return
        try:
            self._token.run_sync_soon(self._take, message)
        except trio.RunFinishedError:
            return  # the program has ended: there is nobody to tell

    def tell_latest(self, key: Hashable, message: object) -> None:
        del key
        self.tell(message)

    def leave(self, message: object) -> None:
        self.tell(message)

    def leave_latest(self, key: Hashable, message: object) -> None:
        del key
        self.tell(message)

    def rouse(self) -> None:
        """What was left is on its way already."""

    def ask(self, message: object, timeout_s: float) -> Answer:
        raise TypeError(f"the tree answers no asks (got {type(message).__name__}, {timeout_s} s)")
