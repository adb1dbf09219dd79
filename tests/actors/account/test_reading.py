"""A read into the account: what was missed is counted in its place, sizes are believed or disputed."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.account.apply import apply
from actors.account.holdings import ADOPTED
from actors.account.state import AccountState, Step, opening
from actors.messages import (
    AccountReport,
    BrokerSnapshot,
    CloseSent,
    ContractRead,
    DayReset,
    Fill,
    Filled,
    OwnClose,
    PositionChanged,
    PositionReport,
)
from actors.rules.rule import Wake

from .tapes import ACCOUNT, CONTRACTS, DAY, ES, MNQ, NOON, NOW, START, Broker, OneDay, Trade, tapes

DAYS = OneDay()
RESET = NOON + timedelta(hours=5)
MONO = 1000.0


def start() -> AccountState:
    state = opening(ACCOUNT, "A", DAYS, NOW, first_seq=1, session_since=None)
    return after(state, *(ContractRead(record, NOON) for record in CONTRACTS))


def after(state: AccountState, *events: object) -> AccountState:
    for event in events:
        state = apply(state, event, DAYS, NOW).state
    return state


def step(state: AccountState, event: object) -> Step:
    return apply(state, event, DAYS, NOW)


def a_fill(size: int, number: int, at: datetime | None = None, **changes: object) -> Fill:
    """A fill of MNQ at 21000.00, `number` seconds after noon."""
    fill = Broker().trade(Trade(MNQ, size, MNQ.ticks(21000.0), 0))
    at = at or NOON + timedelta(seconds=number)
    return msgspec.structs.replace(fill, id=number, order=number, at=at, **changes)


def told(*fills: Fill, mono: float = MONO) -> list[Filled]:
    return [Filled(fill, mono) for fill in fills]


def a_read(*fills: Fill, mono: float = MONO, permitted: bool | None = True, **sizes: int) -> BrokerSnapshot:
    """Positions by root at an average of 21000.25, and the day's fills; it took 10 ms."""
    ids = {record.root: record.id for record in CONTRACTS}
    positions = tuple(
        PositionReport(ACCOUNT, ids[root], size, 21000.25, NOON - timedelta(days=1))
        for root, size in sizes.items()
    )
    report = AccountReport(ACCOUNT, "A", permitted)
    return BrokerSnapshot(report, positions, (), fills, START, mono, mono + 0.01, 1, "test")


def sizes(state: AccountState) -> dict:
    return {contract: holding.size for contract, holding in state.book.items()}


def story(state: AccountState) -> list:
    return [(b.fill.id, b.opened, b.closed, b.own) for b in state.ledger.booked]


# ------------------------------------------------------------------------------ missed fills


@given(tapes, tapes, st.data())
def test_read_gives_what_the_stream_would_have_given_also_with_positions_from_yesterday(
    before: list[Trade], tape: list[Trade], data: st.DataObject
) -> None:
    broker = Broker()
    yesterday = after(start(), *(Filled(broker.trade(trade), 990.0) for trade in before))
    yesterday = after(yesterday, broker.snapshot(995.0), DayReset(DAY + timedelta(days=1), RESET))
    broker.fills.clear()
    by_stream = by_read = yesterday
    for number, trade in enumerate(tape, 1001):
        fill = broker.trade(trade)
        at = RESET + timedelta(seconds=number)
        fill = broker.fills[-1] = msgspec.structs.replace(fill, id=number, at=at)
        by_stream = after(by_stream, Filled(fill, 1000.0))
        if data.draw(st.booleans()):
            by_read = after(by_read, Filled(fill, 1000.0))

    by_read = after(by_read, broker.snapshot(1001.0))

    assert by_read.book == by_stream.book
    assert by_read.ledger.realized == by_stream.ledger.realized == broker.realized()
    assert by_read.ledger.booked == by_stream.ledger.booked


def test_missed_fill_takes_its_place_among_those_that_were_told() -> None:
    """Short, long, flat. Told only of the last two, the account looked long and then less long."""
    short, long, more = a_fill(-1, 1), a_fill(2, 2), a_fill(-1, 3)
    state = after(start(), a_read(), *told(long, more))

    done = step(state, a_read(short, long, more, mono=1001.0))

    assert story(done.state) == [
        (1, 1, 0, OwnClose.NO),
        (2, 1, 1, OwnClose.NO),
        (3, 0, 1, OwnClose.NO),
    ]
    assert (done.cause, done.cause_at) == ("fill:1", short.at)
    assert [b.fill.id for b in done.booked] == [1]
    assert (done.missed, done.read) == (1, None)


def test_fill_that_the_store_knew_is_not_called_missed() -> None:
    known, missed = a_fill(1, 1), a_fill(1, 2)
    state = msgspec.structs.replace(start(), own_fills={1: OwnClose.NO})

    done = step(state, a_read(known, missed, MNQ=2))

    assert (done.missed, len(done.booked)) == (1, 2)


def test_owner_of_a_told_fill_survives_a_missed_one_before_it() -> None:
    first, missed, ours = a_fill(2, 1), a_fill(1, 2), a_fill(-2, 3)
    sent = CloseSent(MNQ.id, 2, OwnClose.LOCKOUT, MONO)
    state = after(start(), a_read(), *told(first), sent, *told(ours))

    state = after(state, a_read(first, missed, ours, mono=1001.0, MNQ=1))

    assert [(number, own) for number, _, _, own in story(state)] == [
        (1, OwnClose.NO),
        (2, OwnClose.NO),
        (3, OwnClose.LOCKOUT),
    ]


def test_missed_fill_after_an_adopted_position_keeps_the_adopted_part() -> None:
    """What was open before is known only by the gateway's word, and its own fills are unknown for good."""
    state = after(start(), a_read(mono=990.0), a_read(mono=991.0, MNQ=2), a_read(mono=992.0, MNQ=2))
    late, missed = a_fill(1, 5), a_fill(1, 4)
    state = after(state, *told(late, mono=993.0))

    state = after(state, a_read(missed, late, mono=994.0, MNQ=4))

    holding = state.book[MNQ.id]
    assert holding.size == 4
    assert [(lot.fill, lot.size, lot.at) for lot in holding.lots] == [
        (ADOPTED, 2, NOON - timedelta(days=1)),
        (4, 1, missed.at),
        (5, 1, late.at),
    ]
    assert holding.cost == MNQ.ticks(21000.25) * 4
    assert state.disputes == {}


def test_difference_that_was_reckoned_before_is_forgotten_when_fills_are_booked_anew() -> None:
    opened, closed = a_fill(2, 2), a_fill(-1, 3, pnl=-50_000)
    state = after(start(), a_read(), *told(opened, closed))
    assert state.drift[MNQ.id] == 50_000

    missed = a_fill(1, 1)
    state = after(state, a_read(missed, opened, closed, mono=1001.0, MNQ=2))

    assert state.drift[MNQ.id] == 50_000, "the same closing fill, reckoned once"


def test_difference_that_a_missed_close_shows_is_told() -> None:
    opened, closed = a_fill(2, 1), a_fill(-2, 2, pnl=-50_000)

    done = step(after(start(), a_read(), *told(opened)), a_read(opened, closed, mono=1001.0))

    assert len(done.drifted) == 1


# ------------------------------------------------------------------------------ copies, voids


def test_copy_that_knows_more_completes_the_fill_and_wakes_who_counts() -> None:
    fill = a_fill(1, 1)
    state = after(start(), a_read(), *told(fill))

    done = step(state, a_read(msgspec.structs.replace(fill, fees=3600), mono=1001.0, MNQ=1))

    assert [(f.id, f.fees) for f in done.completed] == [(1, 3600)]
    assert done.state.ledger.realized == -3600
    assert Wake.FILL in done.changed


def test_copy_that_knows_less_changes_nothing() -> None:
    fill = a_fill(1, 1, fees=3600)
    state = after(start(), a_read(), *told(fill))

    done = step(state, a_read(msgspec.structs.replace(fill, fees=0), mono=1001.0, MNQ=1))

    assert (done.completed, done.state.ledger) == ((), state.ledger)
    assert Wake.FILL not in done.changed


def test_fill_that_was_voided_meanwhile_is_taken_out_once() -> None:
    fill = a_fill(1, 1, fees=3600)
    voided = msgspec.structs.replace(fill, voided=True)
    state = after(start(), a_read(), *told(fill))

    once = step(state, a_read(voided, mono=1001.0))
    twice = step(once.state, a_read(voided, mono=1002.0))

    assert ([f.id for f in once.completed], once.state.ledger.realized) == ([1], 0)
    assert twice.completed == ()


# ------------------------------------------------------------------------------ sizes


def test_first_read_adopts_what_is_open_since_when_it_was_opened() -> None:
    state = after(start(), a_read(ES=1, MNQ=-2))

    assert sizes(state) == {MNQ.id: -2, ES.id: 1}
    holding = state.book[MNQ.id]
    assert holding.opened_at == NOON - timedelta(days=1)
    assert holding.cost == MNQ.ticks(21000.25) * -2
    assert state.disputes == {}


def test_first_read_with_fills_reckons_back_to_what_the_day_began_with() -> None:
    fill = a_fill(1, 1)

    state = after(start(), a_read(fill, MNQ=3))

    assert [(lot.fill, lot.size) for lot in state.book[MNQ.id].lots] == [(ADOPTED, 2), (1, 1)]
    assert state.openings[MNQ.id].size == 2
    assert story(state) == [(1, 1, 0, OwnClose.NO)]


def test_first_read_disputes_what_the_stream_has_told_otherwise() -> None:
    """A position event that came before the first read: neither is believed until they agree."""
    event = PositionChanged(PositionReport(ACCOUNT, MNQ.id, 3, 21000.0, NOON), 999.0)

    done = step(after(start(), event), a_read(MNQ=2))

    assert sizes(done.state) == {}
    assert done.state.disputes[MNQ.id].size == 2
    assert done.read is not None


@pytest.mark.parametrize(
    ("heard", "believed"),
    [
        pytest.param([], True, id="nothing was heard"),
        pytest.param([(ES, 1)], True, id="something in another contract"),
        pytest.param([(MNQ, 1), (MNQ, -1)], False, id="something in this one"),
    ],
)
def test_size_no_fill_explains_is_believed_when_confirmed_with_nothing_heard_between(heard, believed) -> None:
    broker = Broker()
    fills = [broker.trade(Trade(contract, size, MNQ.ticks(21000.0), 0)) for contract, size in heard]
    state = after(start(), a_read(mono=990.0), a_read(mono=991.0, MNQ=2), *told(*fills, mono=992.0))
    more = {"ES": 1} if (ES, 1) in heard else {}

    state = after(state, a_read(*fills, mono=993.0, MNQ=2, **more))

    assert (sizes(state).get(MNQ.id) == 2) is believed
    assert (MNQ.id not in state.disputes) is believed


def test_second_read_that_says_otherwise_again_is_not_believed_either() -> None:
    state = after(start(), a_read(mono=990.0), a_read(mono=991.0, MNQ=2), a_read(mono=992.0, MNQ=3))

    assert sizes(state) == {}
    assert state.disputes[MNQ.id].size == 3
    assert sizes(after(state, a_read(mono=993.0, MNQ=3))) == {MNQ.id: 3}


def test_read_that_began_before_the_dispute_confirms_nothing() -> None:
    first = a_read(mono=991.0, MNQ=2)
    state = after(start(), a_read(mono=990.0), first)

    state = after(state, a_read(mono=991.005, MNQ=2))

    assert sizes(state) == {}


def test_position_that_is_gone_without_a_fill_is_believed_on_the_second_read() -> None:
    fill = a_fill(2, 1)
    state = after(start(), a_read(mono=980.0), *told(fill, mono=981.0), a_read(fill, mono=990.0))
    assert sizes(state) == {MNQ.id: 2}

    state = after(state, a_read(fill, mono=991.0))

    assert (sizes(state), state.disputes) == ({}, {})


def test_dispute_that_was_told_is_not_told_again_when_a_read_changes_it() -> None:
    state = after(start(), a_read(mono=990.0), a_read(mono=991.0, MNQ=2))
    (contract,) = state.disputes
    shown = msgspec.structs.replace(state.disputes[contract], told=True)
    state = msgspec.structs.replace(state, disputes={contract: shown})

    assert after(state, a_read(mono=992.0, MNQ=3)).disputes[contract].told


def test_reads_overtaking_each_other_leave_the_newest_instant() -> None:
    state = after(start(), a_read(mono=992.0), a_read(mono=991.0))

    assert state.read_mono == 992.0


@pytest.mark.parametrize(
    ("read", "wakes"),
    [
        pytest.param({}, {Wake.ORDER}, id="nothing new"),
        pytest.param({"permitted": False}, {Wake.ORDER, Wake.ACCOUNT}, id="permission"),
        pytest.param({"MNQ": 2}, {Wake.ORDER, Wake.POSITION, Wake.PRICE}, id="a size in dispute"),
    ],
)
def test_read_wakes_those_who_wait_for_reads_and_whom_it_concerns(read, wakes) -> None:
    state = after(start(), a_read(mono=990.0))

    done = step(state, a_read(mono=991.0, **read))

    assert (done.changed, done.cause, done.cause_at) == (wakes, "read", None)


def test_first_word_on_the_account_itself_wakes_who_asked_for_it() -> None:
    assert Wake.ACCOUNT in step(start(), a_read()).changed


# ------------------------------------------------------------------------------ verifications


def verified(mono: float, **sizes: int) -> BrokerSnapshot:
    """Orders and positions alone, as they are read to see whether the account complies."""
    return msgspec.structs.replace(a_read(mono=mono, **sizes), fills_read=False)


def test_verification_that_shows_what_was_booked_counts_as_a_read() -> None:
    state = after(start(), a_read(mono=900.0), *told(a_fill(2, 1)))
    new = step(state, verified(1001.0, MNQ=2))
    assert new.state.read_mono == 1001.0
    assert new.state.book == state.book
    assert new.read is None


@pytest.mark.parametrize("held", [{}, {"MNQ": 3}, {"MNQ": -2}, {"MNQ": 2, "ES": 1}])
def test_verification_that_shows_something_else_is_no_read_and_has_everything_read(
    held: dict[str, int],
) -> None:
    state = after(start(), a_read(mono=900.0), *told(a_fill(2, 1)))
    new = step(state, verified(1001.0, **held))
    assert new.state == state
    assert new.read is not None


def test_verification_is_no_beginning_without_fills_nothing_is_known_of_the_day() -> None:
    state = start()
    assert step(state, verified(1001.0)).state == state
