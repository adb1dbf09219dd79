"""What enforcement must remember: the part of its state that outlives any crash, as one value.

It is encoded whole with every change (`journal`), so that a restart goes on from it without
replaying anything. What can be seen again (the snapshot, what rules last said) is not in it.
"""

from __future__ import annotations

from datetime import datetime
from typing import assert_never

import msgspec
from msgspec import Struct

from actors.messages import (
    AccountFlat,
    AccountId,
    AtMost,
    Breach,
    BreachId,
    Call,
    CallRecord,
    ContractId,
    Demand,
    Flat,
    OrderAtMost,
    OrderGone,
    OrderId,
    Outcome,
    OwnClose,
    StopAt,
    TargetAt,
)

from .lockouts import Lockouts

ACCOUNT = "account"
"""Scope of a receipt that concerns the whole account; otherwise it is a contract id."""


class Standing(Struct, frozen=True, gc=False):
    """A demand of one rule that is to hold. Demands of price breaches are latched: once raised they
    stand until the account is seen to comply, although the price may have recovered meanwhile."""

    rule: str
    demand: Demand
    receipt: str
    demanded: bool = True
    """The rule's newest verdict asks for it."""
    settled: int | None = None
    """The account complied in snapshot `seq`: nothing is done for it unless a later one is judged anew."""

    @property
    def latched(self) -> bool:
        return isinstance(self.demand, Flat | AccountFlat)

    @property
    def acts(self) -> bool:
        return self.settled is None and (self.demanded or self.latched)


class Wish(Struct, frozen=True, gc=False):
    """A protective order that a rule wants for an open position; it stands until replaced."""

    rule: str
    demand: StopAt | TargetAt
    long: bool
    opened_at: datetime
    """Side and opening of the position it is meant for."""
    kept: bool
    """Of a breach, not of trade management: it stands until the position is closed."""


class OpenReceipt(Struct, frozen=True, gc=False):
    """What was asked of the account and is not yet verified."""

    id: str
    scope: str
    rules: tuple[str, ...]
    breaches: tuple[BreachId, ...]
    demands: tuple[Demand, ...]
    opened_at: datetime
    opened_mono: float
    """What the account shows must be read at or after this, and after the last call's end."""
    breach_mono: float
    """Monotonic second of the snapshot in which it was seen that something must be done."""
    calls: tuple[CallRecord, ...] = ()
    begun: int = 0
    """Calls begun; they are numbered with it."""
    rounds: int = 0
    ended_mono: float = 0.0
    first_call_mono: float | None = None
    last_error: str | None = None
    notes: tuple[str, ...] = ()
    seen: tuple[Breach, ...] = ()
    """The breaches in full: recorded again after a restart, should the store have missed them."""
    managed: bool = False
    """Trade management: nobody waits for it, so no read is asked for it."""

    @property
    def read_from(self) -> float:
        return max(self.opened_mono, self.ended_mono)


class Pursuit(Struct, frozen=True, gc=False):
    """How far one contract or order has been driven: the last call for it and when the next may go."""

    call: Call
    receipt: str
    sent_mono: float
    before: int = 0
    """Open size of the contract, signed, when the call went out."""
    own_before: int = 0
    """Contracts that fills of our own had closed by then; -1 when that is not known any more."""
    claims: int = 0
    """Contracts that this close, and a partial one before it, could still take by then."""
    beside: tuple[OrderId, ...] = ()
    """Orders left working beside a close; one of them may fill as well and turn the position."""
    outcome: Outcome | None = None
    """None: not answered yet."""
    ended_mono: float = 0.0
    failures: int = 0
    retry_mono: float = 0.0
    whole: bool = False
    """Partial closes are refused for good here, or a change of the order is: close, or cancel, instead."""
    alerted_mono: float | None = None
    turned: bool = False
    """It is for an opposite position that came of a close of ours: all of that goes."""

    @property
    def flying(self) -> bool:
        return self.outcome is None


class ClosedReceipt(Struct, frozen=True, gc=False):
    """A receipt that was closed a moment ago: told again after a restart, should the store have missed it."""

    receipt: OpenReceipt
    at: datetime
    verified_at: datetime | None
    verified_ms: float | None


class Shut(Struct, frozen=True, gc=False):
    """A close of ours that is over; its fill may not be stored yet."""

    contract: ContractId
    size: int
    """Contracts asked to be closed, with the sign of the position."""
    cause: OwnClose
    until: datetime


class Memory(Struct, frozen=True, gc=False):
    """Everything that a restart must know."""

    account: AccountId
    name: str
    settle_s: float
    """Request timeout + 2 s: an unanswered request cannot take effect later than this."""
    number: int
    """Of the next receipt; ids are never used twice, a repeated step repeats them."""
    lockouts: Lockouts = Lockouts()
    standing: tuple[Standing, ...] = ()
    receipts: dict[str, OpenReceipt] = {}
    pursuits: dict[str, Pursuit] = {}
    """By contract id (closes), `order ID` (cancels and changes), `stop CONTRACT` and `target CONTRACT`."""
    wishes: tuple[Wish, ...] = ()
    given_up: tuple[str, ...] = ()
    """Armed rules whose actor was given up."""
    attempts: int = 0
    """New risk met while locked, this trading day."""
    counted: tuple[OrderId, ...] = ()
    """Orders counted as attempts, so that their fills are not counted again."""
    known: tuple[OrderId, ...] = ()
    """Orders that were there before the lock, or that could only reduce when seen: no attempts."""
    ours: tuple[OrderId, ...] = ()
    """Orders placed by trade management."""
    closed: tuple[ClosedReceipt, ...] = ()
    """Receipts closed within the last minute."""
    shut: tuple[Shut, ...] = ()
    """Closes of the last minute that are over: whose close a fill was is stored with the fill, not before."""


def encode(memory: Memory) -> bytes:
    return msgspec.msgpack.encode(memory)


def decode(body: bytes) -> Memory:
    """Raises msgspec.MsgspecError for a body that is no memory of this version."""
    return msgspec.msgpack.decode(body, type=Memory)


def target_of(demand: Demand) -> tuple[str, ContractId | OrderId | None]:
    """What a demand is about: a later demand of the same rule about the same thing replaces it."""
    match demand:
        case AccountFlat():
            return "account", None
        case Flat(contract=contract):
            return "flat", contract
        case AtMost(contract=contract):
            return "size", contract
        case OrderGone(order=order) | OrderAtMost(order=order):
            return "order", order
        case StopAt(contract=contract):
            return "stop", contract
        case TargetAt(contract=contract):
            return "target", contract
        case _:
            assert_never(demand)
