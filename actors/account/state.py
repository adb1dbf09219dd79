"""The account's state machine: one event in, the new state and what it changed out.

Invariants kept here: a fill changes size, average and realized P&L in one step and counts once by
its id, whichever way and however often it arrives; the position event only confirms; the same
fills in the same day give the same state, whether they came by stream or by a read.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from typing import Protocol

from msgspec import Struct

from actors.messages import (
    AccountChanged,
    AccountId,
    AccountReport,
    BookedFill,
    BrokerSnapshot,
    CloseSent,
    CloseVerified,
    Contract,
    ContractId,
    ContractRead,
    ContractUnknown,
    DayReset,
    Exact,
    Fill,
    Filled,
    FillId,
    LinkChanged,
    LinkState,
    Now,
    Order,
    OrderChanged,
    OrderId,
    OwnClose,
    PositionChanged,
    Quoted,
    Rebased,
)
from actors.rules.rule import Wake

from .holdings import Holding
from .ledger import Ledger
from .marks import Mark

NO_MARK = Mark()
FINISHED_ORDERS_KEPT = 500
"""Final orders remembered, so that a late event cannot bring one back to work."""
DISPUTE_ALERT_S = 1.0
"""A position that disagrees with its fills for longer is an alert (rules, one fill one step)."""

type AccountEvent = (
    Filled
    | OrderChanged
    | PositionChanged
    | AccountChanged
    | Quoted
    | ContractRead
    | ContractUnknown
    | BrokerSnapshot
    | LinkChanged
    | DayReset
    | Rebased
    | CloseSent
    | CloseVerified
)


class Days(Protocol):
    """What the account needs of the trading calendar."""

    def trading_day(self, instant: datetime) -> date: ...

    def previous_reset(self, now: datetime) -> datetime: ...


class SeenOrder(Struct, frozen=True, gc=False):
    order: Order
    mono: float
    """When it was read: a snapshot begun earlier cannot contradict it."""
    counted: int = 0
    """Contracts of it that the day's fills had told of by then."""


class Filling(Struct, frozen=True, gc=False):
    """An order as the gateway has it, which is shown only once the fills that made it so are counted."""

    order: Order
    mono: float
    left: int
    """Contracts that no fill told of yet."""


class Dispute(Struct, frozen=True, gc=False):
    """The gateway's position differs from what the fills say."""

    size: int
    since_mono: float
    told: bool = False


class PendingClose(Struct, frozen=True, gc=False):
    """Contracts (signed as the position) that a close of ours may still take."""

    size: int
    cause: OwnClose
    until: datetime | None = None
    """A fill stamped later is not its own."""


class AccountState(Struct, frozen=True, gc=False):
    """Everything true of one account. Replaced whole with each event, never changed in place."""

    account: AccountId
    name: str
    ledger: Ledger
    seq: int = 0
    contracts: dict[ContractId, Contract] = {}
    unknown: dict[ContractId, str] = {}
    book: dict[ContractId, Holding] = {}
    openings: dict[ContractId, Holding] = {}
    """What was open when the trading day began, as far as known."""
    marks: dict[ContractId, Mark] = {}
    orders: dict[OrderId, SeenOrder] = {}
    """Those that are not final; suspended ones are among them."""
    finished: dict[OrderId, None] = {}
    """The last orders that became final, oldest first; set apart, for every event looks at `orders`."""
    filling: dict[OrderId, Filling] = {}
    disputes: dict[ContractId, Dispute] = {}
    own: dict[tuple[ContractId, bool], PendingClose] = {}
    """Closes of ours whose fills are still to come, by contract and whether they close a long position."""
    own_fills: dict[FillId, OwnClose] = {}
    """Fills of the day that the store already had, and whose close each was."""
    stored: dict[FillId, Fill] = {}
    """Their copies: the stream may have told more of their fees than a read does."""
    arrived: dict[FillId, float] = {}
    """Monotonic second at which each of the day's fills came by the stream."""
    drift: dict[ContractId, Exact] = {}
    """Our average-cost P&L less the broker's, per contract, since it was last flat."""
    report: AccountReport | None = None
    link: LinkState = LinkState.DOWN
    link_since: datetime | None = None
    auth_failed: bool = False
    linked: bool = False
    """It was live once."""
    read_mono: float = 0.0
    session_since: datetime | None = None
    owed: tuple[BookedFill, ...] = ()
    """Fills that the store is still to be told of, when the close that they may lead to is on its way."""


class Step(Struct, frozen=True, gc=False):
    """The new state and what the event changed."""

    state: AccountState
    changed: frozenset[Wake]
    cause: str
    cause_at: datetime | None = None
    booked: tuple[BookedFill, ...] = ()
    """Fills counted for the first time by this event: to be stored and told."""
    completed: tuple[Fill, ...] = ()
    """Fills whose money a second copy completed, or that were voided: stored again."""
    missed: int = 0
    """How many of `booked` no stream had brought."""
    read: str | None = None
    """Why the account must be read afresh, if it must."""
    drifted: tuple[str, ...] = ()
    """Our book and the broker's P&L differ by more than a tick value at flat: one text each."""


NOTHING: frozenset[Wake] = frozenset()
FILLED = frozenset({Wake.FILL, Wake.POSITION, Wake.PRICE})


def opening(
    account: AccountId, name: str, days: Days, now: Now, *, first_seq: int, session_since: datetime | None
) -> AccountState:
    """The account before anything was heard of it, in the trading day of `now`."""
    day, start = days.trading_day(now.wall), days.previous_reset(now.wall)
    return AccountState(
        account, name, Ledger(day, start), seq=first_seq, session_since=session_since or now.wall
    )


def finish(known: dict[OrderId, None], more: Iterable[OrderId]) -> dict[OrderId, None]:
    """Remember that these orders are final; the oldest of too many are forgotten."""
    finished = known | dict.fromkeys(more)
    for order in tuple(finished)[: max(0, len(finished) - FINISHED_ORDERS_KEPT)]:
        del finished[order]
    return finished
