"""Stops and targets placed and moved for the trader: S67."""

from __future__ import annotations

from typing import Any

from tests.scenarios.desk import Desk, desk

TRAIL = {"trade_management": {"mode": "armed", "trailing": {"after_ticks": 20, "distance_ticks": 10}}}


def stops(d: Desk) -> list[tuple[float, int]]:
    """Price and size of every stop that works at the gateway."""
    return [(o["stopPrice"], o["size"]) for o in d.working().values() if o.get("stopPrice")]


def limits(d: Desk) -> list[tuple[float, int]]:
    return [(o["limitPrice"], o["size"]) for o in d.working().values() if o.get("limitPrice")]


def test_S67_the_stop_follows_a_long_up_and_never_down() -> None:
    """Given ES long at 5800 and a trail of 10 ticks after 20, when it trades at 5805, 5810 and 5808, then its
    stop is at 5802.50, 5807.50 and still 5807.50."""
    with desk(TRAIL) as d:
        d.buy("ES", 1)
        d.holds(ES=1)
        d.price("ES", 5804.75)
        d.open_pnl("237.50")
        assert stops(d) == []

        for price, stop in ((5805, 5802.5), (5810, 5807.5), (5808, 5807.5)):
            d.price("ES", price)
            d.open_pnl(f"{(price - 5800) * 50:.2f}")
            d.advance(1)
            d.becomes([(stop, 1)], lambda: stops(d))
        assert d.history("breach") == []
        assert d.lockouts() == {}


def test_S67_a_short_is_mirrored() -> None:
    """Given ES short at 5800, when it trades at 5795, then its stop is at 5797.50."""
    with desk(TRAIL) as d:
        d.sell("ES", 2)
        d.holds(ES=-2)
        d.price("ES", 5795)
        d.becomes([(5797.5, 2)], lambda: stops(d))


BRACKET: dict[str, Any] = {
    "trade_management": {"mode": "armed", "stop_loss": {"ticks": 20}, "take_profit": {"ticks": 40}}
}


def test_S67_a_new_position_gets_its_bracket_and_loses_it_when_closed() -> None:
    """Given a bracket of 20 and 40 ticks, when ES is bought at 5800, then a stop at 5795 and a target at 5810
    work; they grow with the position and are gone once it is closed."""
    with desk(BRACKET) as d:
        d.buy("ES", 1)
        d.holds(ES=1)
        d.becomes(([(5795.0, 1)], [(5810.0, 1)]), lambda: (stops(d), limits(d)))

        d.advance(2)
        d.buy("ES", 1)
        d.holds(ES=2)
        d.becomes(([(5795.0, 2)], [(5810.0, 2)]), lambda: (stops(d), limits(d)))

        d.advance(2)
        d.sell("ES", 2)
        d.flat()
        d.becomes({}, d.working)
        assert d.history("breach") == []


def test_S67_a_better_stop_of_the_traders_own_is_left_alone() -> None:
    """Given a bracket and ES bought with a stop at 5798, when time passes, then the trader's stop is the only
    one."""
    with desk(BRACKET) as d:
        d.control(
            op="order",
            account="PRAC-V2-1001",
            contract="ES",
            side="buy",
            size=1,
            type="market",
            bracket={"stop_loss_ticks": 8},
        )
        d.holds(ES=1)
        d.advance(5)
        assert stops(d) == [(5798.0, 1)]


def test_S67_both_legs_filled_is_undone_at_once() -> None:
    """Given ES long 1 with a bracket, when the stop fills and the target fills too, then the short that comes
    of it is closed."""
    with desk(BRACKET) as d:
        d.buy("ES", 1)
        d.becomes(([(5795.0, 1)], [(5810.0, 1)]), lambda: (stops(d), limits(d)))
        legs = sorted(d.working())
        for leg, price in zip(legs, (5795, 5810), strict=True):
            d.control(op="fill", order=leg, size=1, price=price)
        d.until(lambda: d.closes(), "the opposite position is closed")
        d.flat()
        assert d.closes() == [("close", "ES")]


def test_S67_nothing_is_managed_on_a_locked_account() -> None:
    """Given a locked account, when ES is bought, then it is closed and no bracket is placed for it."""
    with desk({**BRACKET, "daily_realized_loss": {"limit": -50}}) as d:
        d.book(-60)
        d.locked("daily_realized_loss")
        d.buy("ES", 1)
        d.until(d.closes, "the fill is closed")
        d.flat()
        assert d.calls("Order/place") == []
        assert d.working() == {}
