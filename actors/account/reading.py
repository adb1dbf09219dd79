"""A read by REST into the account: the gateway is right, and what came since stays on top."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from actors.messages import (
    TERMINAL,
    BookedFill,
    BrokerSnapshot,
    Fill,
    OrderId,
    PositionReport,
)
from actors.rules.rule import Wake

from . import ledger as books
from .booking import book, count
from .holdings import Holding, adopt, fill_into
from .state import AccountState, Days, SeenOrder, Step


def take_read(state: AccountState, event: BrokerSnapshot, days: Days) -> Step:
    """Take the gateway's truth; what came by the stream after the read began stays on top."""
    fresh = [f for f in event.fills if f.id not in state.ledger.known and not f.voided]
    completed = list[Fill]()
    drifted = list[str]()
    ledger = state.ledger
    for fill in event.fills:
        if fill.voided and fill.id not in ledger.voided:
            ledger = books.void(ledger, fill.id)
            completed.append(fill)
        elif fill.id in ledger.known:
            merged = books.complete(ledger, fill)
            if merged is not ledger and (found := merged.find(fill.id)):
                completed.append(found.fill)
            ledger = merged
    on_top = [
        b.fill
        for b in (*ledger.booked, *ledger.ahead)
        if state.arrived.get(b.fill.id, 0.0) >= event.started_mono
        and all(b.fill.id != f.id for f in event.fills)
    ]
    base = msgspec.structs.replace(state, ledger=ledger, disputes={}, report=event.account)
    base = _replay_missed(base, fresh, event.positions)
    new, booked = base, list[BookedFill]()
    for fill in sorted(fresh, key=lambda f: (f.at, f.id)):
        new, one, drift = book(new, fill)
        new = count(new, one, days)
        booked.append(one)
        drifted.extend(drift)
    new = _adopt_sizes(new, event.positions, on_top)
    new = msgspec.structs.replace(
        new, orders=_orders_read(new, event), read_mono=max(state.read_mono, event.started_mono)
    )
    last = max((b.fill for b in booked), key=lambda f: (f.at, f.id), default=None)
    return Step(
        new,
        _changed_by_read(state, new, bool(booked or completed)),
        f"fill:{last.id}" if last else "read",
        last.at if last else None,
        booked=tuple(booked),
        completed=tuple(completed),
        missed=sum(b.fill.id not in state.own_fills for b in booked),
        drifted=tuple(drifted),
    )


def _replay_missed(state: AccountState, fresh: list[Fill], reports: Iterable[PositionReport]) -> AccountState:
    """Set the sizes from which the missed fills lead to what the gateway reports.

    Only contracts whose book is not already there: a book that the missed fills bring to the
    gateway's size keeps its own cost.
    """
    reported = {r.contract: r for r in reports if r.size}
    book = dict(state.book)
    for contract in {f.contract for f in fresh}:
        missed = sum(f.size for f in fresh if f.contract == contract)
        target = reported[contract].size if contract in reported else 0
        start = target - missed
        held = book.get(contract)
        if start == (held.size if held else 0):
            continue
        book.pop(contract, None)
        if start:
            first = min(f.at for f in fresh if f.contract == contract)
            # What it cost is not known here; the gateway's average is taken over at the end.
            book[contract] = adopt(PositionReport(state.account, contract, start, 0.0, first), None)
    return msgspec.structs.replace(state, book=book)


def _adopt_sizes(state: AccountState, reports: Iterable[PositionReport], on_top: list[Fill]) -> AccountState:
    """Where the book is not the gateway's size (plus what came since), the gateway is right."""
    reported = {r.contract: r for r in reports if r.size}
    book = dict(state.book)
    for contract in {*book, *reported}:
        later = sum(f.size for f in on_top if f.contract == contract)
        report = reported.get(contract)
        target = (report.size if report else 0) + later
        held = book.get(contract)
        record = state.contracts.get(contract)
        if target == (held.size if held else 0):
            if held is not None and held.cost is None and report is not None and not later:
                book[contract] = msgspec.structs.replace(held, cost=adopt(report, record).cost)
            continue
        book.pop(contract, None)
        if report is not None:
            holding: Holding | None = adopt(report, record)
            for fill in on_top:
                if fill.contract == contract:
                    ticks = None if record is None else record.ticks(fill.price)
                    holding = fill_into(holding, fill, ticks).holding
            if holding is not None:
                book[contract] = holding
    return msgspec.structs.replace(state, book=book)


def _orders_read(state: AccountState, event: BrokerSnapshot) -> dict[OrderId, SeenOrder]:
    later = {i: seen for i, seen in state.orders.items() if seen.mono >= event.started_mono}
    finished = {i: seen for i, seen in state.orders.items() if seen.order.status in TERMINAL}
    read = {
        order.id: SeenOrder(order, event.started_mono)
        for order in event.orders
        if order.id not in later and order.id not in finished
    }
    return {**finished, **read, **later}


def _changed_by_read(old: AccountState, new: AccountState, fills: bool) -> frozenset[Wake]:
    """A rule that waited for a read is woken by it, whatever it showed."""
    changed = {Wake.ORDER}
    if fills:
        changed.add(Wake.FILL)
    if old.book != new.book or old.disputes != new.disputes:
        changed |= {Wake.POSITION, Wake.PRICE}
    if (old.report is None) or old.report.can_trade != (new.report.can_trade if new.report else None):
        changed.add(Wake.ACCOUNT)
    return frozenset(changed)
