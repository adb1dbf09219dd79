"""What all rule machines have in common: a state that can be written down, and quiet defaults."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import ClassVar

import msgspec
from msgspec import Struct

from actors.messages import AccountSnapshot, Breach, Figure

from .episodes import Episodes
from .rule import Bound, Wake

NO_FIGURE = Figure(None, None, None, None, None)


class Machine[State: Struct]:
    """One rule for one account. Each file reads alike: what it is for, its state, judge, figure, probe."""

    name: ClassVar[str]
    manages: ClassVar[bool] = False
    """Its demands manage trades: they stand until replaced and are no breach."""
    wakes_on: frozenset[Wake]

    def initial(self) -> State:
        """A day on which nothing has happened."""
        raise NotImplementedError

    def bounds(self, snapshot: AccountSnapshot) -> tuple[Bound, ...]:
        """No price wakes it, unless it says otherwise."""
        return ()

    def can_wait(self, snapshot: AccountSnapshot) -> bool:
        """It is told at once, unless it says otherwise."""
        return False

    def figure(self, state: State, snapshot: AccountSnapshot) -> Figure:
        """No figure, unless it says otherwise."""
        return NO_FIGURE

    def encode(self, state: State) -> bytes:
        return msgspec.msgpack.encode(state)

    def decode(self, body: bytes) -> State:
        """The state as written; raises `msgspec.MsgspecError` for a body that is not one."""
        return msgspec.msgpack.decode(body, type=type(self.initial()))


def instant_text(instant: datetime) -> str:
    """UTC as ISO 8601 with `Z`, to the second."""
    return f"{instant.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def breaches_of(episodes: Episodes) -> tuple[Breach, ...]:
    return tuple(episodes.open.values())
