"""A read by REST into the account: what was missed is counted, and sizes are settled."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from datetime import datetime

import msgspec

from actors.messages import (
    BookedFill,
    BrokerSnapshot,
    ContractId,
    Fill,
    FillId,
    PositionReport,
)
from actors.rules.rule import Wake

from . import ledger as books
from . import orders
from .booking import book, count
from .holdings import adopt
from .state import NOTHING, AccountState, Days, Dispute, Step


def take_read(state: AccountState, event: BrokerSnapshot, days: Days) -> Step:
    """Take the gateway's truth: count what no stream brought, and settle what the sizes are.

    Fills are counted by id and are always right. Sizes are three requests that are not one moment: while
    somebody trades they may show a state that never was. So a size that our fills do not explain is
    believed only when a later read confirms it with nothing heard in between, or when nothing is known.
    A read without fills explains nothing: it confirms the book, or the whole account is read.
    """
    if not event.fills_read and not _as_booked(state, event):
        return Step(state, NOTHING, "read", read="what is held is not what the fills say")
    fresh = [f for f in event.fills if f.id not in state.ledger.known and not f.voided]
    new, completed = _complete(state, event.fills)
    new = msgspec.structs.replace(new, report=event.account)
    reported = {r.contract: r for r in event.positions if r.size}
    booked, drifted = list[BookedFill](), list[str]()
    for contract in sorted({*new.book, *new.disputes, *reported, *(f.contract for f in fresh)}):
        missed = sorted((f for f in fresh if f.contract == contract), key=_when)
        new, more, drift = _settle(new, contract, reported.get(contract), missed, event, days)
        booked.extend(more)
        drifted.extend(drift)
    if not _in_order(new.ledger.booked):
        in_order = tuple(sorted(new.ledger.booked, key=lambda b: _when(b.fill)))
        new = msgspec.structs.replace(new, ledger=msgspec.structs.replace(new.ledger, booked=in_order))
    new = orders.read(orders.filled(new, [b.fill for b in booked]), event)
    new = msgspec.structs.replace(new, read_mono=max(state.read_mono, event.started_mono))
    last = max((b.fill for b in booked), key=_when, default=None)
    open_disputes = ", ".join(sorted(new.disputes))
    return Step(
        new,
        _changed_by_read(state, new, bool(booked or completed)),
        f"fill:{last.id}" if last else "read",
        last.at if last else None,
        booked=tuple(sorted(booked, key=lambda b: _when(b.fill))),
        completed=tuple(completed),
        missed=sum(b.fill.id not in state.own_fills for b in booked),
        read=f"position of {open_disputes} disagrees with its fills" if open_disputes else None,
        drifted=tuple(drifted),
    )


def _as_booked(state: AccountState, event: BrokerSnapshot) -> bool:
    reported = {report.contract: report.size for report in event.positions if report.size}
    return state.read_mono > 0 and reported == {c: h.size for c, h in state.book.items() if h.size}


def _when(fill: Fill) -> tuple[datetime, FillId]:
    return fill.at, fill.id


def _in_order(fills: tuple[BookedFill, ...]) -> bool:
    times = [booked.fill.at for booked in fills]
    if any(map(operator.eq, times, times[1:])):  # ids decide between equal times
        return False
    return not any(map(operator.gt, times, times[1:]))


def _complete(state: AccountState, fills: Iterable[Fill]) -> tuple[AccountState, list[Fill]]:
    """Money that a second copy completes, and fills that were voided meanwhile."""
    ledger, completed = state.ledger, list[Fill]()
    counted = {booked.fill.id: booked.fill for booked in ledger.booked}
    for fill in fills:
        if fill.voided and fill.id not in ledger.voided:
            ledger = books.void(ledger, fill.id)
            completed.append(fill)
        elif fill.id in counted and books.merged(counted[fill.id], fill) != counted[fill.id]:
            merged = books.complete(ledger, fill)
            if merged is not ledger and (found := merged.find(fill.id)):
                completed.append(found.fill)
            ledger = merged
    return msgspec.structs.replace(state, ledger=ledger), completed


def _settle(
    state: AccountState,
    contract: ContractId,
    report: PositionReport | None,
    missed: list[Fill],
    event: BrokerSnapshot,
    days: Days,
) -> tuple[AccountState, list[BookedFill], list[str]]:
    """One contract: book what was missed, then compare with what the gateway reports."""
    target = report.size if report else 0
    if not _is_known(state, contract):
        state = _start_from(state, contract, target - sum(f.size for f in missed), missed, event)
    state, booked, drifted = _book_missed(state, contract, missed, days)
    held = state.book.get(contract)
    if (held.size if held else 0) == target:
        return _agreed(state, contract, report), booked, drifted
    dispute = state.disputes.get(contract)
    quiet = dispute is not None and not _heard_since(state, contract, dispute.since_mono)
    confirmed = dispute is not None and dispute.size == target and event.started_mono >= dispute.since_mono
    if quiet and confirmed:
        book = {c: h for c, h in state.book.items() if c != contract}
        if report is not None:
            book[contract] = adopt(report, state.contracts.get(contract))
        return _agreed(msgspec.structs.replace(state, book=book), contract, report), booked, drifted
    told = dispute is not None and dispute.told
    fresh = Dispute(target, event.finished_mono, told)
    disputes = {**state.disputes, contract: fresh}
    return msgspec.structs.replace(state, disputes=disputes), booked, drifted


def _is_known(state: AccountState, contract: ContractId) -> bool:
    """Whether our own book of the contract rests on anything: a read, or events since the start."""
    seen = contract in state.book or contract in state.disputes
    return state.read_mono > 0 or seen or any(b.fill.contract == contract for b in state.ledger.booked)


def _start_from(
    state: AccountState, contract: ContractId, size: int, missed: list[Fill], event: BrokerSnapshot
) -> AccountState:
    """The first read: the size from which the day's fills lead to what the gateway reports.

    What it cost is not known here; the gateway's average is taken over at the end.
    """
    if size == 0:
        return state
    at = missed[0].at if missed else event.fills_since
    opened = next((p.created_at for p in event.positions if p.contract == contract and not missed), at)
    holding = adopt(PositionReport(state.account, contract, size, 0.0, opened), None)
    book, openings = {**state.book, contract: holding}, {**state.openings, contract: holding}
    return msgspec.structs.replace(state, book=book, openings=openings)


def _book_missed(
    state: AccountState, contract: ContractId, missed: list[Fill], days: Days
) -> tuple[AccountState, list[BookedFill], list[str]]:
    """Book fills that came by no stream, in the place in the day where they belong."""
    if not missed:
        return state, [], []
    known = [b for b in (*state.ledger.booked, *state.ledger.ahead) if b.fill.contract == contract]
    if any(_when(b.fill) > _when(missed[0]) for b in known):
        state = _unbook(state, contract, known)
    ids = {f.id for f in missed}
    booked, drifted = list[BookedFill](), list[str]()
    replayed = [b.fill for b in known] if contract not in _booked_contracts(state) else []
    owners = {b.fill.id: b.own for b in known}
    for fill in sorted((*replayed, *missed), key=_when):
        state, one, drift = book(state, fill)
        if fill.id in owners:
            one = msgspec.structs.replace(one, own=owners[fill.id])
        state = count(state, one, days)
        if fill.id in ids:
            booked.append(one)
            drifted.extend(drift)
    return state, booked, drifted


def _booked_contracts(state: AccountState) -> set[ContractId]:
    return {b.fill.contract for b in (*state.ledger.booked, *state.ledger.ahead)}


def _unbook(state: AccountState, contract: ContractId, known: list[BookedFill]) -> AccountState:
    """Take the contract's fills out again, back to what was open when the day began."""
    held = state.book.get(contract)
    start = (held.size if held else 0) - sum(b.fill.size for b in known)
    opening = state.openings.get(contract)
    book = {c: h for c, h in state.book.items() if c != contract}
    if start and opening is not None and opening.size == start:
        book[contract] = opening
    elif start:
        at = min([b.fill.at for b in known] + ([held.opened_at] if held else []))
        book[contract] = adopt(PositionReport(state.account, contract, start, 0.0, at), None)
    ledger = state.ledger
    for one in known:
        ledger = books.take_out(ledger, one.fill.id)
    drift = {c: d for c, d in state.drift.items() if c != contract}
    return msgspec.structs.replace(state, book=book, ledger=ledger, drift=drift)


def _agreed(state: AccountState, contract: ContractId, report: PositionReport | None) -> AccountState:
    """Book and gateway agree on the size; a cost we do not know is the gateway's average."""
    held = state.book.get(contract)
    book = state.book
    if held is not None and held.cost is None and report is not None:
        cost = adopt(report, state.contracts.get(contract)).cost
        book = {**book, contract: msgspec.structs.replace(held, cost=cost)}
    disputes = {c: d for c, d in state.disputes.items() if c != contract}
    return msgspec.structs.replace(state, book=book, disputes=disputes)


def _heard_since(state: AccountState, contract: ContractId, mono: float) -> bool:
    return any(
        b.fill.contract == contract and state.arrived.get(b.fill.id, float("-inf")) >= mono
        for b in (*state.ledger.booked, *state.ledger.ahead)
    )


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
