"""What a story is made of: acts, and what is done in them.

An act is data. Somebody does something (`does`), and within a deadline all of `sees` must hold at once.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from msgspec import Struct

from ops.demo.sights import Sight

type Operation = dict[str, Any]
"""One operation on the gateway's control door: what a person does at the broker's screen."""


# ---------------------------------------------------------------------- what is done


class KillActor(Struct, frozen=True):
    """End an actor's thread from within, as a defect would."""

    actor: str


class KillDaemon(Struct, frozen=True):
    """SIGKILL to the daemon: no farewell, nothing flushed."""


class Until(Struct, frozen=True):
    """Let the clock run to an instant of the day."""

    instant: str
    """session_end | reset"""


class Pause(Struct, frozen=True):
    """Let some time pass before the next step."""

    seconds: float


type Step = Operation | KillActor | KillDaemon | Until | Pause


def buy(account: str, root: str, size: int = 1, *, at: float | None = None) -> Operation:
    """A market order; with `at` the market stands there first."""
    return _market(account, root, "buy", size, at)


def sell(account: str, root: str, size: int = 1, *, at: float | None = None) -> Operation:
    return _market(account, root, "sell", size, at)


def _market(account: str, root: str, side: str, size: int, at: float | None) -> Operation:
    order: Operation = {"op": "order", "account": account, "contract": root, "side": side, "size": size}
    return order if at is None else {**order, "price": at}


def can_trade(account: str, allowed: bool) -> Operation:
    """The firm allows or forbids trading in the account."""
    return {"op": "can_trade", "account": account, "value": allowed}


def fault(name: str, **keys: Any) -> Operation:
    """Something goes wrong at the gateway or on the way to it."""
    return {"op": "fault", "name": name, **keys}


def price(root: str, at: float) -> Operation:
    """The market moves."""
    return {"op": "price", "contract": root, "price": at}


# ---------------------------------------------------------------------- an act


class Act(Struct, frozen=True, kw_only=True):
    """One scene: what is done, and what must be seen within so many seconds."""

    tells: str
    does: tuple[Step, ...] = ()
    sees: tuple[Sight, ...] = ()
    rule: str = ""
    """The rule that fires here, for the report."""
    account: str
    within_s: float = 15.0
    rests_s: float = 0.0
    """Time to pass before it begins."""
    looks_back: bool = False
    """What must be seen may have happened before the act: the whole story's history counts."""


class Played(Struct, frozen=True, kw_only=True):
    """An act as it went."""

    act: Act
    began: datetime
    took_s: float
    missed: tuple[tuple[str, str], ...] = ()
    """What was expected, and what was seen instead."""
    history: list[dict[str, Any]] = []
    books: tuple[dict[str, Any], dict[str, Any]] = ({}, {})
    """The gateway's own state before and after."""

    @property
    def held(self) -> bool:
        return not self.missed
