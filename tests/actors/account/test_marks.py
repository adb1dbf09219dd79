"""What a position is worth now: which of its prices count, how old they may be, and what is shown of it."""

from __future__ import annotations

from fractions import Fraction

import pytest

from actors.account.apply import apply, lasting_disputes
from actors.account.marks import NEVER, Mark, loss_mark, merge, profit_mark, traded
from actors.account.state import opening
from actors.account.view import snapshot_of
from actors.messages import (
    AccountSnapshot,
    ContractRead,
    ContractUnknown,
    Filled,
    PositionChanged,
    PositionReport,
    Quoted,
)

from .tapes import ACCOUNT, ES, MNQ, NOON, NOW, Broker, OneDay, Trade

DAYS = OneDay()
FRESH, OLD, STALE_AFTER_S = 995.0, 989.9, 10.0
MONO = 1000.0


def a_mark(
    last: int | None, bid: int | None, ask: int | None, *, ages: tuple[float, float, float] = (FRESH,) * 3
) -> Mark:
    return Mark(last, bid, ask, *ages)


@pytest.mark.parametrize(
    ("last", "bid", "ask", "long", "short"),
    [
        pytest.param(100, 98, 103, 98, 103, id="the touch is worse"),
        pytest.param(97, 98, 99, 97, 99, id="last is worse for a long"),
        pytest.param(105, 98, 99, 98, 105, id="last is worse for a short"),
        pytest.param(None, 98, 103, 98, 103, id="no last"),
        pytest.param(100, None, None, 100, 100, id="no touch"),
        pytest.param(None, None, None, None, None, id="nothing"),
    ],
)
def test_loss_is_marked_at_the_worse_of_last_and_touch(last, bid, ask, long, short) -> None:
    mark = a_mark(last, bid, ask)

    assert loss_mark(mark, 1, MONO, STALE_AFTER_S) == long
    assert loss_mark(mark, -1, MONO, STALE_AFTER_S) == short


@pytest.mark.parametrize(
    ("ages", "long", "short", "profit"),
    [
        pytest.param((FRESH, OLD, OLD), 100, 100, 100, id="only last is fresh"),
        pytest.param((OLD, FRESH, FRESH), 98, 103, Fraction(201, 2), id="only the touch is fresh"),
        pytest.param((OLD, FRESH, OLD), 98, None, None, id="only the bid is fresh"),
        pytest.param((OLD, OLD, FRESH), None, 103, None, id="only the ask is fresh"),
        pytest.param((OLD, OLD, OLD), None, None, None, id="all is old"),
        pytest.param((990.0, 990.0, 990.0), 98, 103, 100, id="exactly as old as may be"),
        pytest.param((OLD, 990.0, 990.0), 98, 103, Fraction(201, 2), id="a touch as old as may be"),
    ],
)
def test_each_price_ages_by_itself(ages, long, short, profit) -> None:
    mark = a_mark(100, 98, 103, ages=ages)

    assert loss_mark(mark, 1, MONO, STALE_AFTER_S) == long
    assert loss_mark(mark, -1, MONO, STALE_AFTER_S) == short
    assert profit_mark(mark, MONO, STALE_AFTER_S) == profit


def test_middle_of_bid_and_ask_is_a_whole_number_where_it_is_one() -> None:
    middle = profit_mark(a_mark(None, 98, 104), MONO, STALE_AFTER_S)

    assert (middle, type(middle)) == (101, int)


def test_quote_refreshes_only_what_it_carries() -> None:
    before = a_mark(100, 98, 103, ages=(OLD, OLD, OLD))

    after = merge(before, Quoted(MNQ.id, None, 25.0, None, FRESH), MNQ)

    assert after == a_mark(100, 100, 103, ages=(OLD, FRESH, OLD))


def test_conflated_quote_keeps_the_arrival_of_each_price() -> None:
    quote = Quoted(MNQ.id, 25.0, 24.5, 25.5, 999.0, last_mono=996.0, bid_mono=997.0, ask_mono=998.0)

    assert merge(Mark(), quote, MNQ) == a_mark(100, 98, 102, ages=(996.0, 997.0, 998.0))


def test_quote_that_arrives_late_makes_nothing_older() -> None:
    before = a_mark(100, 98, 103)

    after = merge(before, Quoted(MNQ.id, 25.0, 24.5, 25.75, OLD), MNQ)

    assert after == before


def test_trade_refreshes_last_alone() -> None:
    assert traded(a_mark(100, 98, 103, ages=(OLD, OLD, OLD)), 101, FRESH) == a_mark(
        101, 98, 103, ages=(FRESH, OLD, OLD)
    )
    assert traded(Mark(), 101, FRESH) == Mark(101, None, None, FRESH, NEVER, NEVER)


# ------------------------------------------------------------------------------ as it is shown


def shown(*events: object, told_at: float | None = None) -> AccountSnapshot:
    state = opening(ACCOUNT, "A", DAYS, NOW, first_seq=1, session_since=None)
    for event in events:
        state = apply(state, event, DAYS, NOW).state
    if told_at is not None:
        state, _ = lasting_disputes(state, told_at)
    return snapshot_of(state, NOW, STALE_AFTER_S, "test", None)


def fill(size: int, price: float, contract=MNQ) -> Filled:
    return Filled(Broker().trade(Trade(contract, size, contract.ticks(price), 0)), MONO)


READ_MNQ = ContractRead(MNQ, NOON)


def test_half_ticks_of_the_middle_are_worth_half_a_tick_value() -> None:
    quiet = Quoted(MNQ.id, None, 21000.0, 21000.25, MONO)
    old = fill(2, 21000.0)
    snapshot = shown(READ_MNQ, Filled(old.fill, OLD), quiet)

    assert snapshot.unrealized_profit == 5000
    assert snapshot.unrealized == 0


def test_position_without_a_contract_record_is_unmeasured_and_keeps_its_root() -> None:
    snapshot = shown(fill(2, 21000.0))

    (position,) = snapshot.positions
    assert (position.root, position.size, position.cost_ticks, position.record) == ("MNQ", 2, None, None)
    assert (position.unrealized, position.unrealized_profit) == (None, None)
    assert snapshot.unmeasured == (MNQ.id,)


def test_price_that_comes_after_the_record_measures_what_the_fill_could_not() -> None:
    snapshot = shown(fill(2, 21000.0), READ_MNQ, Quoted(MNQ.id, 21000.0, None, None, MONO))

    assert snapshot.unmeasured == (MNQ.id,), "its cost is read from the gateway first"


def test_position_that_only_the_gateway_reports_is_shown_unmeasured() -> None:
    report = PositionReport(ACCOUNT, MNQ.id, -3, 21000.0, NOON)
    quote = Quoted(MNQ.id, 21000.0, 21000.0, 21000.0, MONO)

    snapshot = shown(READ_MNQ, quote, PositionChanged(report, 998.0), told_at=999.0)

    (position,) = snapshot.positions
    assert (position.contract, position.size, position.root) == (MNQ.id, -3, "MNQ")
    assert (position.cost_ticks, position.unrealized, position.loss_mark) == (None, None, None)
    assert position.disputed is True
    assert snapshot.suspended
    assert [lot.size for lot in position.lots] == [-3]


def test_position_that_the_gateway_reports_otherwise_is_shown_with_its_size_and_unmeasured() -> None:
    report = PositionReport(ACCOUNT, MNQ.id, 1, 21000.0, NOON)

    snapshot = shown(READ_MNQ, fill(3, 21000.0), PositionChanged(report, 998.0), told_at=999.0)

    (position,) = snapshot.positions
    assert (position.size, position.unrealized, position.disputed) == (1, None, True)


def test_position_that_the_gateway_reports_closed_is_shown_no_more() -> None:
    report = PositionReport(ACCOUNT, MNQ.id, 0, 0.0, NOON)

    snapshot = shown(READ_MNQ, fill(3, 21000.0), PositionChanged(report, 998.0), told_at=999.0)

    assert (snapshot.positions, snapshot.suspended) == ((), True)


def test_undisputed_position_is_shown_as_such() -> None:
    (position,) = shown(READ_MNQ, fill(3, 21000.0)).positions

    assert position.disputed is False
    assert position.unknown is False


def test_contract_that_the_gateway_does_not_know_is_shown_so_until_its_record_comes() -> None:
    lost = ContractUnknown(MNQ.id, "no such contract")

    assert [p.unknown for p in shown(fill(1, 21000.0), lost).positions] == [True]
    assert [p.unknown for p in shown(fill(1, 21000.0), lost, READ_MNQ).positions] == [False]
    other = ContractUnknown(ES.id, "no such contract")
    assert [p.unknown for p in shown(fill(1, 21000.0), other).positions] == [False]
