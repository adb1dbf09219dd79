"""The account's state machine: counted once, in one step, whichever way the news arrives."""

from __future__ import annotations

from datetime import timedelta
from fractions import Fraction
from functools import cache

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.account.apply import apply, lasting_disputes
from actors.account.state import AccountState, opening
from actors.account.view import snapshot_of
from actors.messages import (
    AccountSnapshot,
    CloseSent,
    CloseVerified,
    ContractRead,
    DayReset,
    Filled,
    Now,
    OwnClose,
    PositionChanged,
    PositionReport,
    Quoted,
    Rebased,
)
from actors.rules.rule import Wake

from .tapes import (
    ACCOUNT,
    CONTRACTS,
    DAY,
    ES,
    MNQ,
    NOON,
    NOW,
    Broker,
    OneDay,
    Trade,
    tapes,
)

DAYS = OneDay()


@cache
def start(records: tuple = CONTRACTS) -> AccountState:
    state = opening(ACCOUNT, "A", DAYS, NOW, first_seq=1, session_since=None)
    for record in records:
        state = apply(state, ContractRead(record, NOON), DAYS, NOW).state
    return state


def after(state: AccountState, *events: object) -> AccountState:
    for event in events:
        state = apply(state, event, DAYS, NOW).state
    return state


def seen(state: AccountState, mono: float = 1000.0) -> AccountSnapshot:
    return snapshot_of(state, Now(NOON, mono), 10.0, "test", None)


def sizes(state: AccountState) -> dict:
    return {p.contract: p.size for p in seen(state).positions}


def story(state: AccountState) -> list:
    """What each fill of the day did, in the day's order."""
    return [(b.fill.id, b.opened, b.closed, b.flat_after, b.own) for b in seen(state).fills]


@settings(max_examples=1000)
@given(tapes)
def test_every_tape_of_fills_gives_the_brokers_position_and_exact_pnl(tape: list[Trade]) -> None:
    broker, state = Broker(), start()

    for trade in tape:
        state = after(state, Filled(broker.trade(trade), 1000.0))

    assert seen(state).realized == broker.realized()
    for position in seen(state).positions:
        assert position.size == broker.size[position.contract]
        assert position.cost_ticks == broker.cost[position.contract]
    assert {c for c, s in broker.size.items() if s} == {p.contract for p in seen(state).positions}


@given(tapes, st.randoms(use_true_random=False))
def test_fills_repeated_in_any_order_change_nothing(tape: list[Trade], random: object) -> None:
    broker, state = Broker(), start()
    events = [Filled(broker.trade(trade), 1000.0) for trade in tape]
    state = after(state, *events)

    again = list(events)
    random.shuffle(again)
    repeated = after(state, *again)

    assert repeated == state


@given(tapes, st.data())
def test_a_read_after_lost_events_gives_what_the_stream_would_have_given(
    tape: list[Trade], data: st.DataObject
) -> None:
    broker, by_stream, by_read = Broker(), start(), start()
    for trade in tape:
        event = Filled(broker.trade(trade), 1000.0)
        by_stream = after(by_stream, event)
        if data.draw(st.booleans()):
            by_read = after(by_read, event)

    by_read = after(by_read, broker.snapshot(1001.0))

    assert seen(by_read).realized == seen(by_stream).realized
    assert sizes(by_read) == sizes(by_stream)
    assert story(by_read) == story(by_stream)


@given(tapes)
def test_a_restart_reads_the_same_day_from_the_gateway(tape: list[Trade]) -> None:
    broker, by_stream = Broker(), start()
    for trade in tape:
        by_stream = after(by_stream, Filled(broker.trade(trade), 1000.0))

    reborn = after(start(), broker.snapshot(5.0))

    assert seen(reborn).realized == seen(by_stream).realized
    assert sizes(reborn) == sizes(by_stream)
    assert story(reborn) == story(by_stream)


@given(tapes)
def test_an_adopted_position_costs_its_average_in_whole_ticks(tape: list[Trade]) -> None:
    broker = Broker()
    for trade in tape:
        broker.trade(trade)
    broker.fills.clear()

    state = after(start(), broker.snapshot(5.0))

    for position in seen(state).positions:
        # The gateway's average is a float: a half may fall to either side.
        assert abs(position.cost_ticks - broker.cost[position.contract]) <= Fraction(1, 2) + Fraction(1, 1000)


@given(tapes, st.data())
def test_a_voided_fill_is_taken_out_and_stays_out(tape: list[Trade], data: st.DataObject) -> None:
    broker, state = Broker(), start()
    for trade in tape:
        state = after(state, Filled(broker.trade(trade), 1000.0))
    victim = data.draw(st.sampled_from(broker.fills))

    step = apply(state, Filled(msgspec.structs.replace(victim, voided=True), 1000.0), DAYS, NOW)
    late = apply(step.state, Filled(victim, 1000.0), DAYS, NOW)

    expected = broker.realized() - ((victim.pnl or 0) - victim.fees)
    assert seen(step.state).realized == expected
    assert step.read is not None
    assert seen(late.state).realized == expected


@given(tapes)
def test_mirrored_trades_make_mirrored_unrealized(tape: list[Trade]) -> None:
    def unrealized(sign: int) -> object:
        broker, state = Broker(), start()
        for trade in tape:
            mirrored = msgspec.structs.replace(
                trade, size=sign * trade.size, ticks=4030 + sign * (trade.ticks - 4030), fees=0
            )
            state = after(state, Filled(broker.trade(mirrored), 1000.0))
        for record in CONTRACTS:
            price = float(record.price(4030 + sign * 7))
            state = after(state, Quoted(record.id, price, price, price, 1001.0))
        return seen(state).unrealized

    assert unrealized(1) == unrealized(-1)


@pytest.mark.parametrize(
    ("record", "size", "entry", "mark", "dollars"),
    [
        pytest.param(MNQ, 1, 26233.25, 26233.75, 1.00, id="MNQ long"),
        pytest.param(ES, 1, 5000.00, 5002.50, 125.00, id="ES long"),
        pytest.param(MNQ, 2, 21000.00, 20700.00, -1200.00, id="S26 MNQ long 2"),
        pytest.param(MNQ, 3, 21000.00, 20950.00, -150.00 * 2, id="S28 at the limit"),
        pytest.param(MNQ, 3, 21000.00, 20950.25, -298.50, id="S28 a tick above it"),
        pytest.param(ES, 10, 5800.00, 5804.00, 2000.00, id="S33 ES long 10"),
        pytest.param(ES, -1, 5800.00, 5810.00, -500.00, id="ES short"),
    ],
)
def test_unrealized_of_the_worked_examples(record, size, entry, mark, dollars) -> None:
    broker = Broker()
    fill = broker.trade(Trade(record, size, record.ticks(entry), 0))

    state = after(start(), Filled(fill, 1000.0), Quoted(record.id, mark, mark, mark, 1000.5))

    assert seen(state).unrealized == Fraction(dollars) * 10_000


def test_loss_is_judged_at_the_worse_of_last_and_touch_and_profit_at_last() -> None:
    fill = Broker().trade(Trade(MNQ, 1, MNQ.ticks(21000.0), 0))
    state = after(start(), Filled(fill, 1000.0), Quoted(MNQ.id, 21010.0, 20990.0, 21012.0, 1000.5))

    position = seen(state).positions[0]

    assert position.loss_mark == MNQ.ticks(20990.0)
    assert position.profit_mark == MNQ.ticks(21010.0)


def test_s31_a_stale_quote_leaves_the_position_unmeasured_and_out_of_the_sums() -> None:
    fill = Broker().trade(Trade(MNQ, 2, MNQ.ticks(21000.0), 0))
    state = after(start(), Filled(fill, 1000.0), Quoted(MNQ.id, 20700.0, 20700.0, 20700.0, 1000.5))

    fresh, stale = seen(state, 1010.5), seen(state, 1010.6)

    assert fresh.unmeasured == ()
    assert stale.unmeasured == (MNQ.id,)
    assert stale.unrealized == 0


@pytest.mark.parametrize("price", [0.0, -1.0, float("nan"), float("inf")])
def test_a_price_nobody_can_trade_at_is_refused(price: float) -> None:
    fill = Broker().trade(Trade(MNQ, 2, MNQ.ticks(21000.0), 0))
    state = after(start(), Filled(fill, 1000.0), Quoted(MNQ.id, price, 20990.0, price, 1000.5))

    assert seen(state).positions[0].loss_mark == MNQ.ticks(20990.0)


def test_a_fill_changes_size_average_and_realized_in_one_step() -> None:
    broker = Broker()
    opened = broker.trade(Trade(MNQ, 2, MNQ.ticks(21000.0), 0))
    state = after(start(), Filled(opened, 1000.0), Quoted(MNQ.id, 20900.0, 20900.0, 20900.0, 1000.5))
    closed = broker.trade(Trade(MNQ, -2, MNQ.ticks(20900.0), 0))

    view = seen(after(state, Filled(closed, 1001.0)))

    assert (view.realized, view.unrealized, view.positions) == (-200 * 2 * 10_000, 0, ())


def test_a_position_that_disagrees_suspends_the_sums_and_asks_until_the_fill_comes() -> None:
    fill = Broker().trade(Trade(MNQ, 3, MNQ.ticks(21000.0), 0))
    report = PositionChanged(PositionReport(ACCOUNT, MNQ.id, 3, 21000.0, NOON), 999.0)

    early = apply(start(), report, DAYS, NOW)

    assert early.read is not None
    assert seen(early.state).suspended
    assert sizes(early.state) == {}
    assert not seen(after(early.state, Filled(fill, 1000.0))).suspended


def test_a_position_event_that_a_read_overtook_opens_nothing_again() -> None:
    broker = Broker()
    fills = [broker.trade(Trade(MNQ, size, MNQ.ticks(21000.0), 0)) for size in (1, -1)]
    state = after(start(), *[Filled(fill, 1000.0) for fill in fills], broker.snapshot(1000.5))

    late = apply(state, PositionChanged(PositionReport(ACCOUNT, MNQ.id, 1, 21000.0, NOON), 1000.6), DAYS, NOW)

    assert sizes(late.state) == {}
    assert late.read is not None
    assert not seen(after(late.state, broker.snapshot(1000.7))).suspended


def test_a_position_that_keeps_disagreeing_is_believed_after_a_second() -> None:
    report = PositionChanged(PositionReport(ACCOUNT, MNQ.id, 3, 21000.0, NOON), 1000.0)
    state = after(start(), report)

    early, none = lasting_disputes(state, 1000.9)
    late, told = lasting_disputes(state, 1001.0)

    assert (sizes(early), none) == ({}, [])
    assert sizes(late) == {MNQ.id: 3}
    assert [contract for contract, _ in told] == [MNQ.id]
    assert lasting_disputes(late, 1005.0)[1] == []


def test_a_read_that_saw_a_moment_which_never_was_opens_nothing() -> None:
    """Flat before and after, but the close between fell out of the list of trades: no phantom short."""
    broker = Broker()
    opened, closed = (broker.trade(Trade(MNQ, size, MNQ.ticks(21000.0), 0)) for size in (1, -1))
    torn = msgspec.structs.replace(broker.snapshot(1000.0), fills=(opened,))
    state = after(start(), Broker().snapshot(999.0))

    state = after(state, torn, Filled(opened, 1000.02), Filled(closed, 1000.03))

    assert sizes(state) == {}
    assert not seen(after(state, broker.snapshot(1001.0))).suspended


def test_a_size_that_no_fill_explains_is_believed_when_a_second_read_confirms_it() -> None:
    broker = Broker()
    broker.trade(Trade(MNQ, 2, MNQ.ticks(21000.0), 0))
    broker.fills.clear()
    state = after(start(), Broker().snapshot(999.0))

    once = apply(state, broker.snapshot(1000.0), DAYS, NOW)
    twice = apply(once.state, broker.snapshot(1001.0), DAYS, NOW)

    assert (sizes(once.state), seen(once.state).suspended) == ({}, True)
    assert once.read is not None
    assert (sizes(twice.state), seen(twice.state).suspended) == ({MNQ.id: 2}, False)


def test_position_events_only_confirm_what_the_fill_already_did() -> None:
    fill = Broker().trade(Trade(MNQ, 3, MNQ.ticks(21000.0), 0))
    state = after(start(), Filled(fill, 1000.0))

    step = apply(state, PositionChanged(PositionReport(ACCOUNT, MNQ.id, 3, 21000.0, NOON), 1000.1), DAYS, NOW)

    assert (step.state, step.changed) == (state, frozenset())


def test_own_closes_are_known_up_to_the_size_asked() -> None:
    broker = Broker()
    opened = broker.trade(Trade(MNQ, 3, MNQ.ticks(21000.0), 0))
    ours = broker.trade(Trade(MNQ, -1, MNQ.ticks(21000.0), 0))
    theirs = broker.trade(Trade(MNQ, -2, MNQ.ticks(21000.0), 0))
    state = after(start(), Filled(opened, 1000.0), CloseSent(MNQ.id, 1, OwnClose.REDUCE, 1000.0))

    state = after(state, Filled(ours, 1000.1), Filled(theirs, 1000.2))

    assert [b.own for b in seen(state).fills] == [OwnClose.NO, OwnClose.REDUCE, OwnClose.NO]


def test_a_verified_close_claims_no_later_fill() -> None:
    broker = Broker()
    opened = broker.trade(Trade(MNQ, 3, MNQ.ticks(21000.0), 0))
    theirs = broker.trade(Trade(MNQ, -3, MNQ.ticks(21000.0), 0))
    state = after(start(), Filled(opened, 1000.0), CloseSent(MNQ.id, 3, OwnClose.LOCKOUT, 1000.0))

    state = after(state, CloseVerified(MNQ.id), Filled(theirs, 1000.2))

    assert seen(state).fills[-1].own is OwnClose.NO


def test_s69_the_reset_zeroes_pnl_and_counters_once_and_keeps_the_position() -> None:
    broker = Broker()
    events = [
        Filled(broker.trade(Trade(MNQ, size, MNQ.ticks(price), 0)), 1000.0)
        for size, price in [(2, 21000.0), (-1, 20900.0)]
    ]
    state = after(start(), *events)
    reset = DayReset(DAY + timedelta(days=1), NOON + timedelta(hours=5))

    first = apply(state, reset, DAYS, NOW)
    second = apply(first.state, reset, DAYS, NOW)

    view = seen(first.state)
    assert (view.realized, view.fills, view.day) == (0, (), DAY + timedelta(days=1))
    assert sizes(first.state) == {MNQ.id: 1}
    assert Wake.RESET in first.changed
    assert second.changed == frozenset()


def test_a_fill_stamped_after_the_reset_counts_in_the_new_day_only() -> None:
    fill = Broker().trade(Trade(MNQ, 1, MNQ.ticks(21000.0), 3600))
    ahead = msgspec.structs.replace(fill, at=NOON + timedelta(hours=5, milliseconds=1))
    state = after(start(), Filled(ahead, 1000.0))

    before = seen(state)
    rolled = seen(after(state, DayReset(DAY + timedelta(days=1), NOON + timedelta(hours=5))))

    assert (before.realized, len(before.fills), sizes(state)) == (0, 0, {MNQ.id: 1})
    assert (rolled.realized, len(rolled.fills)) == (-3600, 1)


def test_a_baseline_counts_only_what_comes_after_it_even_when_read_again() -> None:
    broker = Broker()
    state = after(start(), *[Filled(broker.trade(Trade(MNQ, s, 4000, 3600)), 1000.0) for s in (1, -1)])

    state = after(state, Rebased(ACCOUNT, broker.fills[-1].at + timedelta(milliseconds=1), "admin"))
    again = after(state, broker.snapshot(1001.0))

    assert (seen(state).realized, seen(state).fills) == (0, ())
    assert (seen(again).realized, seen(again).fills) == (0, ())


def test_fees_that_only_the_store_still_knows_survive_a_read_without_commissions() -> None:
    broker = Broker()
    fill = broker.trade(Trade(MNQ, 1, 4000, 6100))
    broker.fills[:] = [msgspec.structs.replace(fill, fees=3600)]
    restarted = msgspec.structs.replace(start(), stored={fill.id: fill}, own_fills={fill.id: OwnClose.NO})

    read = after(restarted, broker.snapshot(1001.0))

    assert seen(read).realized == -6100


def test_fees_that_only_the_stream_knows_survive_a_read_without_commissions() -> None:
    fill = Broker().trade(Trade(MNQ, 1, 4000, 6100))
    state = after(start(), Filled(fill, 1000.0))

    poorer = after(state, Filled(msgspec.structs.replace(fill, fees=3600), 1001.0))

    assert seen(poorer).realized == -6100
