"""What a rule is: a pure machine that one actor hosts, and the registry of all of them.

A machine is total (any snapshot in any state gives a Judgement), level-triggered (it asks "is
the account in breach now", never "did I get the news"), restorable (its state survives
`encode`/`decode` at any point) and silent (no I/O, no clock, no logging). Counting is done from
the fills in the snapshot, which are there once by their id.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from typing import ClassVar, Protocol

from msgspec import Struct

from actors.messages import (
    AccountSnapshot,
    Breach,
    ContractId,
    Demand,
    Exact,
    Figure,
    Lock,
    Notice,
    Now,
)


class Wake(StrEnum):
    """What changes in the account that a rule wants to be woken for."""

    FILL = "fill"
    POSITION = "position"
    ORDER = "order"
    ACCOUNT = "account"
    LINK = "link"
    TIME = "time"
    """Once a second, and at the instant its last Judgement named in `due`."""
    PRICE = "price"
    """Only when one of its `bounds` is crossed, either way."""
    RESET = "reset"


TRADED = ("fill:", "order:", "position:", "price:")
"""How the causes of snapshots begin that trading and prices bring, and no read, clock or link does."""


class Measure(StrEnum):
    """What a bound looks at. Position measures look at each open position by itself."""

    NET = "net"
    """Realized + unrealized at the loss mark."""
    NET_PROFIT = "net_profit"
    """Realized + unrealized at the profit mark."""
    UNREALIZED = "unrealized"
    UNREALIZED_PROFIT = "unrealized_profit"
    POSITION = "position"
    """Unrealized of one position at the loss mark."""
    POSITION_PROFIT = "position_profit"
    PROFIT_MARK = "profit_mark"
    """Ticks of one contract's profit mark (`contract` names it). Without limits: every change of it."""


class Bound(Struct, frozen=True, gc=False):
    """Wake me when the measure gets to `at_most` or below, or to `at_least` or above, or back."""

    measure: Measure
    at_most: Exact | None = None
    at_least: Exact | None = None
    contract: ContractId | None = None

    @property
    def limits(self) -> bool:
        return self.at_most is not None or self.at_least is not None


class Judgement[State](Struct, frozen=True, gc=False):
    """What a machine answers: its new state and everything that must hold from now on."""

    state: State
    breaches: tuple[Breach, ...] = ()
    """True now; each keeps its first figures for its whole episode."""
    demands: tuple[Demand, ...] = ()
    lock: Lock | None = None
    """Repeated while its breach lasts. None ends no lockout: only its expiry or `condition_over` does.
    A lock that flattens means by itself that the account must be flat."""
    notices: tuple[Notice, ...] = ()
    condition_over: bool = False
    due: datetime | None = None
    """Judge again at this instant (trusted wall time)."""
    wants_read: str | None = None
    """Ask the gateway afresh before deciding (the reason, for the log); judged again when read."""


class Probe(Struct, frozen=True, gc=False):
    """A synthetic breach and its near miss, judged in a sandbox copy before the rule is armed.

    Each is a story: snapshots in order. The breach story must end in a breach or a lock or a
    demand; the near miss must not.
    """

    breach: tuple[AccountSnapshot, ...]
    near_miss: tuple[AccountSnapshot, ...]


class Rule[State](Protocol):
    """One rule built from its configuration for one account."""

    name: ClassVar[str]
    manages: ClassVar[bool]
    """Its demands manage trades: they stand until replaced and are no breach."""
    wakes_on: frozenset[Wake]

    def initial(self) -> State: ...

    def bounds(self, snapshot: AccountSnapshot) -> tuple[Bound, ...]:
        """Prices at which it must be woken, given today's positions and P&L."""
        ...

    def can_wait(self, snapshot: AccountSnapshot) -> bool:
        """Whether nothing in the snapshot can make it ask for something new. Then it is told a few ms later,
        so that nobody takes the processor from a rule that does. Looked at in the account's thread, for
        every snapshot, so it must be quick; in doubt False."""
        ...

    def judge(self, state: State, snapshot: AccountSnapshot, now: Now) -> Judgement[State]: ...

    def figure(self, state: State, snapshot: AccountSnapshot) -> Figure:
        """Where it stands, for `status` and `rules`."""
        ...

    def probe(self, now: Now) -> Probe: ...

    def encode(self, state: State) -> bytes: ...

    def decode(self, body: bytes) -> State: ...


type AnyRule = Rule[object]
type Maker = Callable[..., AnyRule]
