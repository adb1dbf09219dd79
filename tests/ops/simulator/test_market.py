"""The random market, and the ids and clock of the gateway."""

from datetime import UTC, date, datetime, timedelta
from fractions import Fraction

import pytest

from ops.simulator.clock import clock_of
from ops.simulator.contracts import Catalogue
from ops.simulator.market import RandomMarket
from ops.simulator.prices import Price
from ops.simulator.state import State

NOW = datetime(2026, 9, 14, 14, 30, tzinfo=UTC)


def walk(seed, steps=200):
    contract, market, price = Catalogue(date(2026, 9, 14)).named("ZN"), RandomMarket(seed), Price()
    for _ in range(steps):
        sides = market.step(contract, price)
        price = Price(**{"last": price.last, "bid": price.bid, "ask": price.ask} | sides)
        yield price


def test_same_seed_walks_the_same_way_and_another_does_not():
    assert list(walk(1)) == list(walk(1))
    assert list(walk(1)) != list(walk(2))


def test_walk_stays_on_the_tick_with_the_last_price_inside_the_touch():
    tick = Fraction(1, 64)
    for price in walk(3):
        assert price.bid <= price.last <= price.ask
        assert all((side / tick).denominator == 1 for side in (price.last, price.bid, price.ask))


def test_gateway_that_is_started_again_repeats_no_id():
    first, second = (State(NOW + timedelta(seconds=later), Fraction(0), Fraction(0)) for later in (0, 60))
    ids = [[state.next_order_id() for _ in range(1000)] for state in (first, second)]
    assert not set(ids[0]) & set(ids[1])


def test_ids_of_different_kinds_differ_so_that_a_mix_up_shows():
    state = State(NOW, Fraction(0), Fraction(0))
    assert len({state.next_order_id(), state.next_trade_id(), state.next_position_id()}) == 3


@pytest.mark.parametrize(
    ("setting", "shift"),
    [(None, 0), ("", 0), ("90", 90), ("-3600", -3600), ("2026-09-14T09:31:00-05:00", 60)],
)
def test_test_clock_is_an_offset_or_an_instant(setting, shift):
    assert clock_of(setting, NOW).offset == timedelta(seconds=shift)


@pytest.mark.parametrize("setting", ["yesterday", "2026-09-14T09:31:00", "nan", "1e400"])
def test_test_clock_that_nobody_understands_is_refused(setting):
    with pytest.raises(ValueError, match=r".+"):
        clock_of(setting, NOW)
