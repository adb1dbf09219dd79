"""Stops and targets placed and moved: trade_management. And resting_stops beside it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.messages import Demand, OrderStatus, StopAt, TargetAt
from actors.rules.bounds import side
from actors.rules.resting_stops import RestingStopsRule
from actors.rules.trade_management import TradeManagementRule
from config.settings import TradeManagement
from tests.builders import Desk, Watching, a_rule

ES, MNQ = "CON.F.US.ES.Z25", "CON.F.US.MNQ.Z25"
BRACKET = {"stop_loss": {"ticks": 20}, "take_profit": {"ticks": 40}}
TRAIL = {"trailing": {"after_ticks": 20, "distance_ticks": 10}}
BREAKEVEN = {"breakeven": {"after_ticks": 10, "offset_ticks": 1}}


def manage(**config: object) -> Watching:
    return a_rule("trade_management", **config)


def opened(rule: Watching, *, short: bool = False, entry: float = 5800.0) -> Desk:
    """One ES contract, opened under the rule's eyes."""
    desk = Desk()
    rule.judge(desk.snapshot())
    desk.wait(1)
    rule.judge(desk.sell("ES", 1, entry) if short else desk.buy("ES", 1, entry))
    return desk


def stops(rule: Watching, desk: Desk, *prices: float) -> list[float | None]:
    """The stop asked for after each price, in points."""
    found = []
    for price in prices:
        desk.wait(1)
        demands = [d for d in rule.judge(desk.price("ES", price)).demands if isinstance(d, StopAt)]
        found.append(demands[0].ticks / 4 if demands else None)
    return found


TRAILS = [
    pytest.param(False, (5804.75, 5805.0, 5810.0, 5808.0), (None, 5802.5, 5807.5, 5807.5), id="S67 long"),
    pytest.param(True, (5795.25, 5795.0, 5790.0, 5792.0), (None, 5797.5, 5792.5, 5792.5), id="S67 short"),
]


@pytest.mark.parametrize(("short", "prices", "expected"), TRAILS)
def test_s67_the_stop_follows_the_best_price(
    short: bool, prices: tuple[float, ...], expected: tuple[float | None, ...]
) -> None:
    rule = manage(**TRAIL)

    assert tuple(stops(rule, opened(rule, short=short), *prices)) == expected


BREAKEVENS = [
    pytest.param(False, (5802.25, 5802.5, 5801.0), (None, 5800.25, 5800.25), id="long"),
    pytest.param(True, (5797.75, 5797.5, 5799.0), (None, 5799.75, 5799.75), id="short"),
]


@pytest.mark.parametrize(("short", "prices", "expected"), BREAKEVENS)
def test_far_enough_in_profit_the_stop_goes_to_entry_and_stays(
    short: bool, prices: tuple[float, ...], expected: tuple[float | None, ...]
) -> None:
    rule = manage(**BREAKEVEN)

    assert tuple(stops(rule, opened(rule, short=short), *prices)) == expected


def bracket(rule: Watching, desk: Desk) -> tuple[Demand, ...]:
    return rule.judge(desk.snapshot()).demands


@pytest.mark.parametrize("short", [False, True])
def test_a_new_position_gets_a_bracket(short: bool) -> None:
    rule, side_ = manage(**BRACKET), -1 if short else 1

    demands = bracket(rule, opened(rule, short=short))

    assert demands == (StopAt(ES, 23200 - side_ * 20, 1), TargetAt(ES, 23200 + side_ * 40, 1))


def test_sizes_follow_the_position_and_prices_its_average() -> None:
    rule = manage(**BRACKET)
    desk = opened(rule)

    demands = rule.judge(desk.buy("ES", 2, 5801.5)).demands

    assert demands == (StopAt(ES, 23184, 3), TargetAt(ES, 23244, 3))


def test_when_the_position_closes_nothing_is_asked_any_more() -> None:
    rule = manage(**BRACKET)
    desk = opened(rule)

    assert rule.judge(desk.sell("ES", 1, 5801.0)).demands == ()


CHILD, GONE = OrderStatus.SUSPENDED, OrderStatus.CANCELLED
LEGS = [
    pytest.param({"stop": 5700.0}, [TargetAt], id="a stop of the trader's own"),
    pytest.param({"limit": 5900.0}, [StopAt], id="a target of the trader's own"),
    pytest.param({"stop": 5700.0, "status": CHILD}, [TargetAt], id="a stop about to work"),
    pytest.param({"limit": 5900.0, "status": CHILD}, [StopAt], id="a target about to work"),
    pytest.param({"stop": 5900.0, "status": GONE}, [StopAt, TargetAt], id="a stop that is gone"),
]


@pytest.mark.parametrize(("order", "kinds"), LEGS)
def test_only_what_is_lacking_is_placed(order: dict[str, Any], kinds: list[type]) -> None:
    rule, desk = manage(**BRACKET), Desk()
    rule.judge(desk.snapshot())
    desk.place("ES", -1, **order)

    demands = rule.judge(desk.buy("ES", 1, 5800.0)).demands

    assert [type(demand) for demand in demands] == kinds


def test_a_position_open_before_the_rule_was_armed_gets_no_bracket_but_its_stop_trails() -> None:
    rule, desk = manage(**BRACKET, **TRAIL), Desk()
    desk.buy("ES", 1, 5800.0)
    desk.wait(10)

    before = rule.judge(desk.price("ES", 5801.0)).demands
    after = rule.judge(desk.price("ES", 5805.0)).demands

    assert before == ()
    assert after == (StopAt(ES, 23210, 1),)


def test_a_stop_stays_on_the_losing_side_of_the_market() -> None:
    """The market fell through where the stop belongs before it could be placed."""
    rule, desk = manage(stop_loss={"ticks": 4}), Desk()
    rule.judge(desk.snapshot())
    desk.wait(1)
    desk.buy("ES", 1, 5800.0)

    demands = rule.judge(desk.price("ES", 5790.0)).demands

    assert demands == (StopAt(ES, 5790 * 4 - 1, 1),)


def test_an_uneven_average_is_rounded_to_lose_no_more_than_asked() -> None:
    rule = manage(stop_loss={"ticks": 20})
    desk = opened(rule)

    demands = rule.judge(desk.buy("ES", 1, 5800.25)).demands

    assert demands == (StopAt(ES, 23181, 2),)


def test_without_a_price_the_bracket_is_placed_where_it_belongs() -> None:
    rule, desk = manage(**BRACKET, **TRAIL), Desk()
    rule.judge(desk.snapshot())
    desk.wait(1)
    desk.buy("ES", 1, 5800.0)

    demands = rule.judge(desk.wait(11)).demands

    assert demands == (StopAt(ES, 23180, 1), TargetAt(ES, 23240, 1))


def test_nothing_is_placed_on_a_blocked_root() -> None:
    rule = Watching(TradeManagementRule(TradeManagement(mode="armed", **BRACKET), ("ES",)))

    assert bracket(rule, opened(rule)) == ()


def test_it_is_never_a_breach_and_says_that_it_manages() -> None:
    rule = manage(**BRACKET, **TRAIL)
    desk = opened(rule)

    judged = rule.judge(desk.price("ES", 5700.0))

    assert (judged.breaches, judged.lock) == ((), None)
    assert rule.rule.manages


def test_every_price_counts_once_the_stop_follows_and_none_before() -> None:
    rule = manage(**TRAIL)
    desk = opened(rule)

    def where(price: float) -> object:
        snapshot = desk.price("ES", price)
        return side(rule.rule.bounds(snapshot), snapshot)

    seen = [where(price) for price in (5801.0, 5802.0, 5805.0, 5805.25)]

    assert seen[0] == seen[1]
    assert len(set(map(str, seen[1:]))) == 3


@given(st.lists(st.integers(-40, 80), min_size=1, max_size=12), st.booleans())
def test_a_stop_only_ever_tightens_and_sides_mirror(moves: list[int], short: bool) -> None:
    config = {**TRAIL, **BREAKEVEN, "stop_loss": {"ticks": 30}}
    long_rule, short_rule = manage(**config), manage(**config)
    up = stops(long_rule, opened(long_rule), *[5800.0 + move / 4 for move in moves])
    down = stops(short_rule, opened(short_rule, short=True), *[5800.0 - move / 4 for move in moves])

    asked = [stop for stop in up if stop is not None]
    assert asked == sorted(asked)
    assert [None if s is None else 11600.0 - s for s in down] == up


# ------------------------------------------------------------------------------ resting stops


def resting(action: str = "require", position: int | None = -300_0000, day: int | None = None) -> Watching:
    return Watching(RestingStopsRule(action, position, day))


def naked(rule: Watching, *, short: bool = False) -> Desk:
    desk = Desk()
    rule.judge(desk.sell("MNQ", 2, 21000.0) if short else desk.buy("MNQ", 2, 21000.0))
    return desk


PLACED = [
    pytest.param(-300_0000, None, False, 20925.0, id="where the position would lose its limit"),
    pytest.param(-300_0000, None, True, 21075.0, id="a short above"),
    pytest.param(-300_0000, -500_0000, False, 20925.0, id="the day's limit is further away"),
    pytest.param(-300_0000, -100_0000, False, 20975.0, id="what is left of the day is nearer"),
    pytest.param(None, -100_0000, False, 20975.0, id="the day's limit alone"),
    pytest.param(-301_0000, None, False, 20924.75, id="between two ticks nothing more is lost"),
]


@pytest.mark.parametrize(("position", "day", "short", "price"), PLACED)
def test_after_five_seconds_a_naked_position_gets_a_stop(
    position: int | None, day: int | None, short: bool, price: float
) -> None:
    rule = resting("require", position, day)
    desk = naked(rule, short=short)
    before = rule.judge(desk.wait(4.9))

    judged = rule.judge(desk.wait(0.1))

    assert before.demands == ()
    assert judged.demands == (StopAt(MNQ, round(price * 4), 2),)
    assert [n.level for n in judged.notices] == ["warning"]


@pytest.mark.parametrize(("short", "price", "stop"), [(False, 20900.0, 20899.75), (True, 21100.0, 21100.25)])
def test_beyond_the_limit_already_the_stop_is_next_to_the_market(
    short: bool, price: float, stop: float
) -> None:
    rule = resting()
    desk = naked(rule, short=short)
    desk.wait(5)

    assert rule.judge(desk.price("MNQ", price)).demands == (StopAt(MNQ, round(stop * 4), 2),)


def test_what_the_day_has_lost_is_no_longer_there_to_lose() -> None:
    rule = resting("require", None, -100_0000)
    desk = naked(rule)
    desk.trade("-60", root="ES")

    assert rule.judge(desk.wait(5)).demands == (StopAt(MNQ, 20990 * 4, 2),)


def test_alert_says_so_and_places_nothing() -> None:
    rule = resting("alert")
    desk = naked(rule)

    judged, later = rule.judge(desk.wait(5)), rule.judge(desk.wait(1))

    assert judged.demands == ()
    assert [len(j.notices) for j in (judged, later)] == [1, 0]


def test_the_stop_stands_once_placed_follows_the_size_and_ends_with_the_position() -> None:
    rule = resting()
    desk = naked(rule)
    rule.judge(desk.wait(5))
    desk.place("MNQ", -2, stop=20925.0, tag="riskd-1")

    placed = rule.judge(desk.wait(1)).demands
    smaller = rule.judge(desk.sell("MNQ", 1, 21000.0)).demands
    gone = rule.judge(desk.sell("MNQ", 1, 21000.0)).demands

    assert placed == (StopAt(MNQ, 83700, 2),)
    assert smaller == (StopAt(MNQ, 83700, 1),)
    assert gone == ()


def test_it_gives_way_to_a_stop_of_the_traders_own() -> None:
    rule = resting()
    desk = naked(rule)
    rule.judge(desk.wait(5))
    desk.place("MNQ", -2, stop=20925.0, tag="riskd-1")
    desk.place("MNQ", -2, stop=20950.0)

    assert rule.judge(desk.snapshot()).demands == ()
