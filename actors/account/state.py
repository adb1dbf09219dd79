"""The account's state machine: one event in, the new state and what it changed out.

Invariants kept here: a fill changes size, average and realized P&L in one step and counts once by
its id, whichever way and however often it arrives; the position event only confirms; the same
fills in the same day give the same state, whether they came by stream or by a read.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from typing import Protocol, assert_never

import msgspec
from msgspec import Struct

from actors.messages import (
    TERMINAL,
    AccountChanged,
    AccountId,
    AccountReport,
    AccountSnapshot,
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
    Money,
    Now,
    Order,
    OrderChanged,
    OrderId,
    OwnClose,
    PositionChanged,
    PositionReport,
    PositionView,
    Quoted,
    Rebased,
)
from actors.rules.rule import Wake
from config.instruments import root_of

from . import ledger as books
from .holdings import Holding, adopt, fill_into, view, whole
from .ledger import Ledger
from .marks import Mark, merge, traded

NO_MARK = Mark()
FINISHED_ORDERS_KEPT = 500
"""Final orders remembered, so that a late event cannot bring one back to work."""
DISPUTE_ALERT_S = 1.0

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

    def day_window(self, day: date) -> tuple[datetime, datetime]: ...


class SeenOrder(Struct, frozen=True, gc=False):
    order: Order
    mono: float
    """When it was read: a snapshot begun earlier cannot contradict it."""


class Dispute(Struct, frozen=True, gc=False):
    """The gateway's position differs from what the fills say."""

    size: int
    since_mono: float
    told: bool = False


class PendingClose(Struct, frozen=True, gc=False):
    """Contracts (signed as the position) that a close of ours may still take."""

    size: int
    cause: OwnClose


class AccountState(Struct, frozen=True, gc=False):
    """Everything true of one account. Replaced whole with each event, never changed in place."""

    account: AccountId
    name: str
    ledger: Ledger
    seq: int = 0
    contracts: dict[ContractId, Contract] = {}
    unknown: dict[ContractId, str] = {}
    book: dict[ContractId, Holding] = {}
    marks: dict[ContractId, Mark] = {}
    orders: dict[OrderId, SeenOrder] = {}
    disputes: dict[ContractId, Dispute] = {}
    own: dict[ContractId, PendingClose] = {}
    own_fills: dict[FillId, OwnClose] = {}
    """Fills of the day that the store already had, and whose close each was."""
    arrived: dict[FillId, float] = {}
    """Monotonic second at which each of the day's fills came by the stream."""
    drift: dict[ContractId, Exact] = {}
    """Our average-cost P&L less the broker's, per contract, since it was last flat."""
    report: AccountReport | None = None
    link: LinkState = LinkState.DOWN
    link_since: datetime | None = None
    auth_failed: bool = False
    read_mono: float = 0.0
    session_since: datetime | None = None


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
    day = days.trading_day(now.wall)
    start, _ = days.day_window(day)
    return AccountState(
        account, name, Ledger(day, start), seq=first_seq, session_since=session_since or now.wall
    )


def apply(state: AccountState, event: AccountEvent, days: Days, now: Now) -> Step:
    """Judge nothing, count once: the one place where an event changes the account."""
    match event:
        case Quoted():
            return _quoted(state, event)
        case Filled():
            return _filled(state, event, days)
        case OrderChanged():
            return _order_changed(state, event)
        case PositionChanged():
            return _position_changed(state, event)
        case AccountChanged():
            changed = state.report is None or state.report.can_trade != event.account.can_trade
            new = msgspec.structs.replace(state, report=event.account)
            return Step(new, frozenset({Wake.ACCOUNT}) if changed else NOTHING, "account")
        case ContractRead():
            return _contract_read(state, event)
        case ContractUnknown():
            new = msgspec.structs.replace(state, unknown={**state.unknown, event.contract: event.reason})
            return Step(new, frozenset({Wake.POSITION}), f"contract:{event.contract}")
        case BrokerSnapshot():
            return _snapshot(state, event, days)
        case LinkChanged():
            new = msgspec.structs.replace(
                state, link=event.state, link_since=event.since, auth_failed=event.auth_failed
            )
            return Step(new, frozenset({Wake.LINK}), "link", event.since)
        case DayReset():
            return _day_reset(state, event)
        case Rebased():
            new = msgspec.structs.replace(state, ledger=books.rebase(state.ledger, event.at))
            return Step(new, frozenset({Wake.RESET, Wake.FILL, Wake.PRICE}), "reset", event.at)
        case CloseSent():
            pending = PendingClose(event.size, event.cause)
            return Step(
                msgspec.structs.replace(state, own={**state.own, event.contract: pending}), NOTHING, ""
            )
        case CloseVerified():
            own = {c: p for c, p in state.own.items() if c != event.contract}
            return Step(msgspec.structs.replace(state, own=own), NOTHING, "")
        case _:
            assert_never(event)


# ---------------------------------------------------------------------------------- prices


def _quoted(state: AccountState, event: Quoted) -> Step:
    record = state.contracts.get(event.contract)
    if record is None:
        return Step(state, NOTHING, "")
    mark = merge(state.marks.get(event.contract, NO_MARK), event, record)
    new = msgspec.structs.replace(state, marks={**state.marks, event.contract: mark})
    held = event.contract in state.book
    return Step(new, frozenset({Wake.PRICE}) if held else NOTHING, f"price:{event.contract}")


def _contract_read(state: AccountState, event: ContractRead) -> Step:
    record = event.contract
    held = state.book.get(record.id)
    unknown = {c: reason for c, reason in state.unknown.items() if c != record.id}
    new = msgspec.structs.replace(state, contracts={**state.contracts, record.id: record}, unknown=unknown)
    changed = frozenset({Wake.POSITION, Wake.PRICE}) if held else NOTHING
    # The cost of what was bought before the record came is read afresh from the gateway's average.
    read = f"record of {record.id} arrived" if held is not None and held.cost is None else None
    return Step(new, changed, f"contract:{record.id}", read=read)


# ---------------------------------------------------------------------------------- fills


def _filled(state: AccountState, event: Filled, days: Days) -> Step:
    fill = event.fill
    cause = f"fill:{fill.id}"
    if fill.voided:
        return _voided(state, fill, cause)
    if fill.id in state.ledger.known:
        return _repeated(state, fill, cause)
    state, booked, drifted = _book(state, fill)
    state = _count(state, booked, days)
    state = msgspec.structs.replace(state, arrived={**state.arrived, fill.id: event.mono})
    record = state.contracts.get(fill.contract)
    if record is not None:
        mark = traded(state.marks.get(fill.contract, NO_MARK), record.ticks(fill.price), event.mono)
        state = msgspec.structs.replace(state, marks={**state.marks, fill.contract: mark})
    state = _settle_dispute(state, fill.contract)
    return Step(state, FILLED, cause, fill.at, booked=(booked,), drifted=drifted)


def _book(state: AccountState, fill: Fill) -> tuple[AccountState, BookedFill, tuple[str, ...]]:
    """Change size, average and ownership by one fill; counting its P&L is the ledger's."""
    record = state.contracts.get(fill.contract)
    ticks = None if record is None else record.ticks(fill.price)
    filling = fill_into(state.book.get(fill.contract), fill, ticks)
    own, pending = _ownership(state, fill, filling.closed)
    book = {c: h for c, h in state.book.items() if c != fill.contract}
    if filling.holding is not None:
        book[fill.contract] = filling.holding
    flat = filling.holding is None or (filling.closed > 0 and filling.opened > 0)
    booked = BookedFill(fill, filling.opened, filling.closed, own, flat and filling.closed > 0)
    drift, drifted = _drift(state, fill, filling.closed_ticks, record, booked.flat_after)
    new = msgspec.structs.replace(state, book=book, own=pending, drift=drift)
    return new, booked, drifted


def _ownership(
    state: AccountState, fill: Fill, closed: int
) -> tuple[OwnClose, dict[ContractId, PendingClose]]:
    remembered = state.own_fills.get(fill.id)
    pending = state.own.get(fill.contract)
    if pending is None or closed == 0 or (pending.size > 0) == (fill.size > 0):
        return remembered or OwnClose.NO, state.own
    left = abs(pending.size) - closed
    own = {c: p for c, p in state.own.items() if c != fill.contract}
    if left > 0:
        own[fill.contract] = PendingClose(left if pending.size > 0 else -left, pending.cause)
    return remembered or pending.cause, own


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


def _count(state: AccountState, booked: BookedFill, days: Days) -> AccountState:
    fill, ledger = booked.fill, state.ledger
    day = days.trading_day(fill.at)
    if day > ledger.day:
        ledger = books.put_ahead(ledger, booked)
    elif day == ledger.day and books.counts(ledger, fill):
        ledger = books.add(ledger, booked)
    else:
        ledger = books.know(ledger, fill.id)
    return msgspec.structs.replace(state, ledger=ledger)


def _repeated(state: AccountState, fill: Fill, cause: str) -> Step:
    ledger = books.complete(state.ledger, fill)
    if ledger is state.ledger:
        return Step(state, NOTHING, cause)
    found = ledger.find(fill.id)
    completed = (found.fill,) if found else ()
    new = msgspec.structs.replace(state, ledger=ledger)
    return Step(new, frozenset({Wake.FILL, Wake.PRICE}), cause, fill.at, completed=completed)


def _voided(state: AccountState, fill: Fill, cause: str) -> Step:
    if fill.id in state.ledger.voided:
        return Step(state, NOTHING, cause)
    new = msgspec.structs.replace(state, ledger=books.void(state.ledger, fill.id))
    # What a void does to the position is the gateway's to say.
    return Step(new, FILLED, cause, fill.at, completed=(fill,), read=f"fill {fill.id} was voided")


# ---------------------------------------------------------------------------------- orders, positions


def _order_changed(state: AccountState, event: OrderChanged) -> Step:
    order = event.order
    known = state.orders.get(order.id)
    if known is not None and _older(order, known.order):
        return Step(state, NOTHING, f"order:{order.id}")
    orders = {**state.orders, order.id: SeenOrder(order, event.mono)}
    if order.status in TERMINAL:
        orders = _forget_finished(orders)
    new = msgspec.structs.replace(state, orders=orders)
    return Step(new, frozenset({Wake.ORDER}), f"order:{order.id}", order.updated_at)


def _older(order: Order, known: Order) -> bool:
    return known.status in TERMINAL or order == known or order.updated_at < known.updated_at


def _forget_finished(orders: dict[OrderId, SeenOrder]) -> dict[OrderId, SeenOrder]:
    finished = [i for i, seen in orders.items() if seen.order.status in TERMINAL]
    for order in finished[: max(0, len(finished) - FINISHED_ORDERS_KEPT)]:
        del orders[order]
    return orders


def _position_changed(state: AccountState, event: PositionChanged) -> Step:
    report = event.position
    cause = f"position:{report.contract}"
    held = state.book.get(report.contract)
    if report.size == (held.size if held else 0):
        settled = _settle_dispute(state, report.contract)
        return Step(settled, NOTHING if settled is state else frozenset({Wake.POSITION, Wake.PRICE}), cause)
    known = state.disputes.get(report.contract)
    dispute = Dispute(report.size, known.since_mono if known else event.mono, known.told if known else False)
    new = msgspec.structs.replace(state, disputes={**state.disputes, report.contract: dispute})
    return Step(
        new,
        frozenset({Wake.POSITION, Wake.PRICE}),
        cause,
        read=f"position of {report.contract} disagrees with its fills",
    )


def _settle_dispute(state: AccountState, contract: ContractId) -> AccountState:
    dispute = state.disputes.get(contract)
    if dispute is None:
        return state
    held = state.book.get(contract)
    if dispute.size != (held.size if held else 0):
        return state
    return msgspec.structs.replace(state, disputes={c: d for c, d in state.disputes.items() if c != contract})


# ---------------------------------------------------------------------------------- reads, resets


def _snapshot(state: AccountState, event: BrokerSnapshot, days: Days) -> Step:
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
        new, one, drift = _book(new, fill)
        new = _count(new, one, days)
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


def _day_reset(state: AccountState, event: DayReset) -> Step:
    if event.day <= state.ledger.day:
        return Step(state, NOTHING, "reset")
    new = msgspec.structs.replace(
        state, ledger=books.roll(state.ledger, event.day, event.at), arrived={}, own_fills={}
    )
    return Step(new, frozenset({Wake.RESET, Wake.FILL, Wake.PRICE}), "reset", event.at)


# ---------------------------------------------------------------------------------- the view


def snapshot_of(
    state: AccountState, days: Days, now: Now, stale_after_s: float, cause: str, cause_at: datetime | None
) -> AccountSnapshot:
    """The account as rules judge it: one number, one moment, everything measured at that moment."""
    positions = tuple(sorted(_views(state, now.mono, stale_after_s), key=lambda p: p.contract))
    realized: Money = state.ledger.realized
    report = state.report
    return AccountSnapshot(
        account=state.account,
        name=state.name,
        seq=state.seq,
        now=now,
        day=state.ledger.day,
        day_start=state.ledger.since,
        positions=positions,
        orders=tuple(s.order for s in state.orders.values() if s.order.status not in TERMINAL),
        fills=state.ledger.booked,
        realized=realized,
        unrealized=sum(p.unrealized for p in positions if p.unrealized is not None),
        unrealized_profit=sum(p.unrealized_profit for p in positions if p.unrealized_profit is not None),
        unmeasured=tuple(p.contract for p in positions if p.unrealized is None),
        suspended=bool(state.disputes),
        can_trade=report.can_trade if report else None,
        link=state.link,
        link_since=state.link_since,
        read_mono=state.read_mono,
        cause=cause,
        cause_at=cause_at,
        auth_failed=state.auth_failed,
        session_since=state.session_since,
    )


def _views(state: AccountState, mono: float, stale_after_s: float) -> Iterable[PositionView]:
    for contract, dispute in state.disputes.items():
        if contract not in state.book and dispute.size:
            yield _reported_only(state, contract, dispute.size)
    for contract, holding in state.book.items():
        dispute_here = state.disputes.get(contract)
        if dispute_here is not None and dispute_here.size == 0:
            continue
        record = state.contracts.get(contract)
        shown = view(
            holding,
            state.marks.get(contract, NO_MARK),
            record,
            mono,
            stale_after_s,
            dispute_here.size if dispute_here else None,
            contract in state.unknown,
        )
        yield shown if record is not None else msgspec.structs.replace(shown, root=root_of(contract))


def _reported_only(state: AccountState, contract: ContractId, size: int) -> PositionView:
    """A position that the gateway reports and no fill explains yet."""
    since = state.link_since or state.ledger.since
    report = PositionReport(state.account, contract, size, 0.0, since)
    holding = msgspec.structs.replace(adopt(report, None), cost=None)
    record = state.contracts.get(contract)
    shown = view(holding, NO_MARK, record, 0.0, 0.0, size, contract in state.unknown)
    return msgspec.structs.replace(shown, root=record.root if record else root_of(contract))
