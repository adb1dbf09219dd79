"""Touch and bars."""

from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest

from ops.simulator.prices import Price, Tape, Unit
from ops.simulator.records import Side

NOON = datetime(2026, 9, 14, 12, 0, tzinfo=UTC)  # a Monday


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def tape(*ticks: tuple[float, int]) -> Tape:
    made = Tape()
    for seconds, price in ticks:
        made.add(at(seconds), Fraction(price))
    return made


def bars(made, now, unit=Unit.MINUTE, number=1, start=-86400.0, end=86400.0, limit=100, partial=True):
    found = made.bars(at(now), at(start), at(end), unit, number, limit, partial)
    return [
        ((b.start - NOON).total_seconds(), *map(int, (b.open, b.high, b.low, b.close)), b.volume)
        for b in found
    ]


@pytest.mark.parametrize(
    ("last", "bid", "ask", "buy", "sell"),
    [
        (100, 99, 101, 101, 99),
        (100, None, None, 100, 100),
        (None, 99, 101, 101, 99),
        (None, None, None, None, None),
        (0, 99, 101, 101, 99),
        (100, 0, -5, 100, 100),
        (0, 0, 0, None, None),
    ],
)
def test_market_order_gets_the_touch_else_the_last_price_and_never_a_price_of_zero(last, bid, ask, buy, sell):
    price = Price(*(None if side is None else Fraction(side) for side in (last, bid, ask)))
    assert (price.touch(Side.BUY), price.touch(Side.SELL)) == (buy, sell)


def test_bars_of_a_contract_without_prices_are_none():
    assert bars(Tape(), now=60) == []


def test_bars_come_newest_first_with_what_traded_in_them():
    made = tape((5, 100), (10, 103), (50, 99), (70, 101))
    assert bars(made, now=80) == [(60, 101, 101, 101, 101, 1), (0, 100, 103, 99, 99, 3)]


def test_price_that_holds_still_goes_on_making_bars():
    assert bars(tape((5, 100)), now=150) == [
        (120, 100, 100, 100, 100, 0),
        (60, 100, 100, 100, 100, 0),
        (0, 100, 100, 100, 100, 1),
    ]


def test_halted_market_makes_no_newer_bar():
    made = tape((5, 100))
    made.halted = True
    assert bars(made, now=150) == [(0, 100, 100, 100, 100, 1)]


def test_bar_that_is_not_over_is_left_out_unless_asked_for():
    assert bars(tape((5, 100), (70, 101)), now=80, partial=False) == [(0, 100, 100, 100, 100, 1)]


def test_limit_keeps_the_newest_bars_and_the_window_bounds_their_start():
    made = tape((5, 100))
    assert [bar[0] for bar in bars(made, now=300, limit=2)] == [300, 240]
    assert [bar[0] for bar in bars(made, now=300, start=60, end=180)] == [180, 120, 60]


@pytest.mark.parametrize(
    ("unit", "number", "begins"),
    [
        (Unit.SECOND, 10, [20, 10, 0]),
        (Unit.MINUTE, 5, [0]),
        (Unit.HOUR, 4, [0]),
        (Unit.DAY, 1, [-43200]),
        (Unit.WEEK, 1, [-43200]),
        (Unit.MONTH, 1, [-43200 - 13 * 86400]),
    ],
)
def test_bars_begin_where_their_unit_does(unit, number, begins):
    made = tape((3, 100))
    assert [bar[0] for bar in bars(made, now=25, unit=unit, number=number, start=-40 * 86400)] == begins


def test_tick_bars_hold_so_many_ticks_each():
    made = tape((1, 100), (2, 101), (3, 99))
    assert bars(made, now=10, unit=Unit.TICK, number=2) == [
        (3, 99, 99, 99, 99, 1),
        (1, 100, 101, 100, 101, 2),
    ]


def test_tick_stamped_before_the_last_one_keeps_the_tape_in_order():
    made = tape((10, 100), (5, 101))
    assert bars(made, now=20, unit=Unit.TICK, number=1) == [
        (10, 101, 101, 101, 101, 1),
        (10, 100, 100, 100, 100, 1),
    ]
