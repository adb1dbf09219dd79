"""A losing trade earns a rest: cooldown_after_loss."""

from __future__ import annotations

from datetime import timedelta

import pytest

from actors.messages import LockKind, OwnClose
from tests.builders import Desk, Watching, a_rule

MINUTE = timedelta(minutes=1)


def cooldown(**config: object) -> Watching:
    return a_rule("cooldown_after_loss", **config)


TIERS = [
    pytest.param("-75", None, id="S44 -75 rests not"),
    pytest.param("-99.99", None, id="S44 just short of a tier"),
    pytest.param("-100", 5, id="S44 exactly a tier"),
    pytest.param("-150", 5, id="S44 between two tiers"),
    pytest.param("-200", 15, id="S44 the second tier"),
    pytest.param("-350", 30, id="S44 the deepest tier"),
    pytest.param("0", None, id="breakeven"),
    pytest.param("350", None, id="a profit"),
]


@pytest.mark.parametrize(("result", "minutes"), TIERS)
def test_the_deepest_tier_reached_decides(result: str, minutes: int | None) -> None:
    rule, desk = cooldown(), Desk()

    lock = rule.judge(desk.trade(result)).lock

    if minutes is None:
        assert lock is None
    else:
        assert lock is not None
        assert (lock.kind, lock.flatten) == (LockKind.DURATION, True)
        assert (lock.since, lock.until) == (desk.now.wall, desk.now.wall + minutes * MINUTE)


def test_s45_while_one_rest_runs_the_later_end_wins() -> None:
    rule, desk = cooldown(), Desk()
    rule.judge(desk.trade("-350"))
    began = desk.now.wall
    desk.wait(60)
    new = rule.judge(desk.trade("-100")).lock

    later = rule.judge(desk.wait(1)).lock

    assert new is not None
    assert new.until == began + 6 * MINUTE
    assert later is not None
    assert later.until == began + 30 * MINUTE


def test_an_opening_half_turn_rests_not() -> None:
    assert cooldown().judge(Desk().buy("MNQ", 1, 21000.0, fees="150")).lock is None


def test_fees_of_the_closing_fills_count() -> None:
    rule, desk = cooldown(), Desk()

    assert rule.judge(desk.trade("-99.50", fees="0.50")).lock is not None


def test_the_fills_of_one_order_count_together_and_the_tier_reached_last_begins_its_rest() -> None:
    rule, desk = cooldown(), Desk()
    desk.buy("MNQ", 3, 21000.0)
    locks = []
    for result in (-60, -60, -100):
        desk.wait(10)
        locks.append(rule.judge(desk.sell("MNQ", 1, 20990.0, order=99, pnl=result * 10_000)).lock)

    first, second, third = locks

    assert first is None
    assert second is not None
    assert second.until == second.since + 5 * MINUTE
    assert third is not None
    assert third.until == third.since + 15 * MINUTE
    assert third.since == second.since + timedelta(seconds=10)


def test_the_same_tier_is_not_begun_again_by_the_rest_of_the_order() -> None:
    rule, desk = cooldown(), Desk()
    desk.buy("MNQ", 3, 21000.0)
    rule.judge(desk.sell("MNQ", 1, 20990.0, order=99, pnl=-110_0000))
    began = desk.now.wall
    desk.wait(10)

    lock = rule.judge(desk.sell("MNQ", 1, 20990.0, order=99, pnl=-10_0000)).lock

    assert lock is not None
    assert lock.since == began


OWN = [
    pytest.param(OwnClose.REDUCE, True, id="what a rule reduced is a loss"),
    pytest.param(OwnClose.LOCKOUT, False, id="what a lockout flattened is none"),
]


@pytest.mark.parametrize(("own", "rests"), OWN)
def test_own_closes(own: OwnClose, rests: bool) -> None:
    rule, desk = cooldown(), Desk()
    desk.buy("MNQ", 1, 21000.0)

    lock = rule.judge(desk.sell("MNQ", 1, 20900.0, own=own)).lock

    assert (lock is not None) == rests


def test_a_voided_trade_rests_not() -> None:
    rule, desk = cooldown(), Desk()
    desk.trade("-350")

    assert rule.judge(desk.void(2)).lock is None


def test_without_flatten_what_is_open_stays() -> None:
    lock = cooldown(flatten=False).judge(Desk().trade("-100")).lock

    assert lock is not None
    assert not lock.flatten


def test_a_rest_found_after_its_end_is_recorded_and_locks_nothing() -> None:
    rule, desk = cooldown(), Desk()
    desk.trade("-100")

    late = rule.judge(desk.wait(301))

    assert [b.id for b in late.breaches] == ["2025-11-19/cooldown_after_loss/CON.F.US.MNQ.Z25/fill:2/1"]
    assert late.lock is None
    assert rule.judge(desk.wait(1)).breaches == ()


def test_figures_show_the_newest_closing_order_against_the_first_tier() -> None:
    rule, desk = cooldown(), Desk()
    desk.trade("-350")
    desk.trade("-400")
    snapshot = desk.trade("-50")

    figure = rule.rule.figure(rule.state, snapshot)

    assert (figure.value, figure.limit, figure.used) == ("-50.00", "-100.00", 0.5)
