"""One fill into the book: size, average cost, whose close it was, and in which day it counts."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from actors.enforcement.view import Closing
from actors.messages import (
    BookedFill,
    Contract,
    ContractId,
    Exact,
    Fill,
    OffGrid,
    OwnClose,
)

from . import ledger as books
from .holdings import fill_into, whole
from .state import AccountState, Days, PendingClose


def book(state: AccountState, fill: Fill) -> tuple[AccountState, BookedFill, tuple[str, ...]]:
    """Change size, average and ownership by one fill; counting its P&L is the ledger's."""
    if (stored := state.stored.get(fill.id)) is not None:
        fill = books.merged(stored, fill)
    record = state.contracts.get(fill.contract)
    ticks = on_grid(record, fill.price)
    filling = fill_into(state.book.get(fill.contract), fill, ticks)
    own, pending = _ownership(state, fill, filling.closed)
    book = {c: h for c, h in state.book.items() if c != fill.contract}
    if filling.holding is not None:
        book[fill.contract] = filling.holding
    flat = filling.holding is None or (filling.closed > 0 and filling.opened > 0)
    booked = BookedFill(fill, filling.opened, filling.closed, own, flat and filling.closed > 0)
    drift, drifted = _drift(state, fill, filling.closed_ticks, record, booked.flat_after)
    if record is not None and ticks is None:
        drifted = (*drifted, f"fill {fill.id} at {fill.price!r} is on no tick of {fill.contract}")
    new = msgspec.structs.replace(state, book=book, own=pending, drift=drift)
    return new, booked, drifted


def on_grid(record: Contract | None, price: float) -> int | None:
    """Whole ticks; None where the record is missing or has no such tick. The size counts all the same: then
    the cost is the gateway's own average, as soon as it is read."""
    if record is None:
        return None
    try:
        return record.ticks(price)
    except OffGrid:
        return None


def _ownership(
    state: AccountState, fill: Fill, closed: int
) -> tuple[OwnClose, dict[tuple[ContractId, bool], PendingClose]]:
    remembered = state.own_fills.get(fill.id)
    key = fill.contract, fill.size < 0
    pending = state.own.get(key)
    late = pending is not None and pending.until is not None and fill.at > pending.until
    if pending is None or closed == 0 or late or remembered is OwnClose.NO:
        return remembered or OwnClose.NO, state.own
    left = abs(pending.size) - closed
    own = {of: each for of, each in state.own.items() if of != key}
    if left > 0:
        own[key] = msgspec.structs.replace(pending, size=left if pending.size > 0 else -left)
    return remembered or pending.cause, own


def closes_out(
    state: AccountState, closing: Iterable[Closing]
) -> dict[tuple[ContractId, bool], PendingClose]:
    """The closes of ours that may still fill: those told of, and those that only enforcement knows of.

    Of one told of that enforcement has done with, the end was not heard. One that was over when told of
    takes no later fill anyway.
    """
    out = {(one.contract, one.size > 0): one for one in closing}
    own = {of: each for of, each in state.own.items() if of in out or each.until is not None}
    for of, one in out.items():
        left = abs(one.size) - _closed_since(state, one)
        if of not in own and left > 0:
            own[of] = PendingClose(left if one.size > 0 else -left, one.cause)
    return own


def _closed_since(state: AccountState, one: Closing) -> int:
    """Contracts that fills of ours have closed since the close went out."""
    if one.own_before < 0:
        return 0
    ours = (b for b in state.ledger.booked if b.fill.contract == one.contract and b.own is not OwnClose.NO)
    return sum(booked.closed for booked in ours) - one.own_before


def _drift(
    state: AccountState, fill: Fill, closed_ticks: Exact | None, record: Contract | None, flat: bool
) -> tuple[dict[ContractId, Exact], tuple[str, ...]]:
    if record is None or closed_ticks is None or fill.pnl is None:
        return state.drift, ()
    gap: Exact = whole(state.drift.get(fill.contract, 0) + closed_ticks * record.tick_value - fill.pnl)
    if not flat:
        return {**state.drift, fill.contract: gap}, ()
    rest = {c: d for c, d in state.drift.items() if c != fill.contract}
    if -record.tick_value <= gap <= record.tick_value:
        return rest, ()
    return rest, (f"own book and broker differ by {float(gap) / 10_000:.2f} dollars in {fill.contract}",)


def count(state: AccountState, booked: BookedFill, days: Days) -> AccountState:
    fill, ledger = booked.fill, state.ledger
    day = days.trading_day(fill.at)
    if day > ledger.day:
        ledger = books.put_ahead(ledger, booked)
    elif day == ledger.day and books.counts(ledger, fill):
        ledger = books.add(ledger, booked)
    else:
        ledger = books.know(ledger, fill.id)
    return msgspec.structs.replace(state, ledger=ledger)
