"""One event in, the new state and what it changed out: the one place where an event changes the account."""

from __future__ import annotations

from typing import assert_never

import msgspec

from actors.messages import (
    AccountChanged,
    BrokerSnapshot,
    CloseSent,
    CloseVerified,
    ContractId,
    ContractRead,
    ContractUnknown,
    DayReset,
    Fill,
    Filled,
    LinkChanged,
    LinkState,
    Now,
    OrderChanged,
    PositionChanged,
    Quoted,
    Rebased,
)
from actors.rules.rule import Wake

from . import ledger as books
from . import orders
from .booking import book, count, on_grid
from .marks import merge, traded
from .reading import take_read
from .state import (
    DISPUTE_ALERT_S,
    FILLED,
    NO_MARK,
    NOTHING,
    AccountEvent,
    AccountState,
    Days,
    Dispute,
    PendingClose,
    Step,
)


def apply(state: AccountState, event: AccountEvent, days: Days, now: Now) -> Step:
    """Judge nothing, count once: the one place where an event changes the account."""
    match event:
        case Quoted():
            return _quoted(state, event)
        case Filled():
            return _filled(state, event, days)
        case OrderChanged():
            return orders.changed(state, event)
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
            return take_read(state, event, days)
        case LinkChanged():
            new = msgspec.structs.replace(
                state,
                link=event.state,
                link_since=event.since,
                auth_failed=event.auth_failed,
                linked=state.linked or event.state is LinkState.LIVE,
            )
            return Step(new, frozenset({Wake.LINK}), "link", event.since)
        case DayReset():
            return _day_reset(state, event)
        case Rebased():
            new = msgspec.structs.replace(state, ledger=books.rebase(state.ledger, event.at))
            return Step(new, frozenset({Wake.RESET, Wake.FILL, Wake.PRICE}), "reset", event.at)
        case CloseSent():
            pending = PendingClose(event.size, event.cause, event.until)
            own = {**state.own, (event.contract, event.size > 0): pending}
            return Step(msgspec.structs.replace(state, own=own), NOTHING, "")
        case CloseVerified():
            own = {of: pending for of, pending in state.own.items() if of[0] != event.contract}
            return Step(msgspec.structs.replace(state, own=own), NOTHING, "")
        case _:
            assert_never(event)


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


def _filled(state: AccountState, event: Filled, days: Days) -> Step:
    fill = event.fill
    cause = f"fill:{fill.id}"
    if fill.voided:
        return _voided(state, fill, cause)
    if fill.id in state.ledger.known:
        return _repeated(state, fill, cause)
    state, booked, drifted = book(state, fill)
    state = orders.filled(count(state, booked, days), (fill,))
    state = msgspec.structs.replace(state, arrived={**state.arrived, fill.id: event.mono})
    ticks = on_grid(state.contracts.get(fill.contract), fill.price)
    if ticks is not None:
        mark = traded(state.marks.get(fill.contract, NO_MARK), ticks, event.mono)
        state = msgspec.structs.replace(state, marks={**state.marks, fill.contract: mark})
    state = _settle_dispute(state, fill.contract)
    held = state.book.get(fill.contract)
    read = f"the cost of {fill.contract} is not known" if held is not None and held.cost is None else None
    return Step(state, FILLED, cause, fill.at, booked=(booked,), drifted=drifted, read=read)


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


def _position_changed(state: AccountState, event: PositionChanged) -> Step:
    report = event.position
    cause = f"position:{report.contract}"
    held = state.book.get(report.contract)
    if report.size == (held.size if held else 0):
        settled = _undisputed(state, report.contract)
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
    return _undisputed(state, contract) if dispute.size == (held.size if held else 0) else state


def _undisputed(state: AccountState, contract: ContractId) -> AccountState:
    if contract not in state.disputes:
        return state
    return msgspec.structs.replace(state, disputes={c: d for c, d in state.disputes.items() if c != contract})


def lasting_disputes(
    state: AccountState, mono: float
) -> tuple[AccountState, list[tuple[ContractId, Dispute]]]:
    """Disputes that have lasted too long: from now on the gateway's size is shown, and it is an alert."""
    lasting = [
        (contract, dispute)
        for contract, dispute in state.disputes.items()
        if not dispute.told and mono - dispute.since_mono >= DISPUTE_ALERT_S
    ]
    if not lasting:
        return state, []
    told = {contract: msgspec.structs.replace(dispute, told=True) for contract, dispute in lasting}
    return msgspec.structs.replace(state, disputes={**state.disputes, **told}), lasting


def _day_reset(state: AccountState, event: DayReset) -> Step:
    if event.day <= state.ledger.day:
        return Step(state, NOTHING, "reset")
    new = msgspec.structs.replace(
        state,
        ledger=books.roll(state.ledger, event.day, event.at),
        arrived={},
        own_fills={},
        stored={},
        openings=state.book,
    )
    return Step(new, frozenset({Wake.RESET, Wake.FILL, Wake.PRICE}), "reset", event.at)
