"""A day that has lost or won enough: daily_realized_loss and daily_realized_profit."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.messages import AccountFlat, LockKind, OwnClose
from tests.builders import Desk, Watching, a_rule

RESET = datetime(2025, 11, 19, 23, 0, tzinfo=UTC)


def lost(**config: object) -> Watching:
    return a_rule("daily_realized_loss", **config)


def won(**config: object) -> Watching:
    return a_rule("daily_realized_profit", **config)


def day(results: list[str]) -> Desk:
    desk = Desk()
    for result in results:
        desk.wait(30)
        desk.trade(result)
    return desk


CLOSED = [
    pytest.param("daily_realized_loss", ["100", "50", "-200"], None, id="S12 a day of -50 is no breach"),
    pytest.param("daily_realized_loss", ["-499.99"], None, id="S14 -499.99 is none"),
    pytest.param("daily_realized_loss", ["-500"], "-500.00", id="S14 exactly at the limit is a breach"),
    pytest.param("daily_realized_loss", ["-450", "-100"], "-550.00", id="S15 -550 is over"),
    pytest.param("daily_realized_loss", ["-600", "-10"], "-600.00", id="still over after another loss"),
    pytest.param("daily_realized_profit", ["600"], None, id="S22 600 of 1000 is none"),
    pytest.param("daily_realized_profit", ["600", "400"], "1000.00", id="S22 at the target is a breach"),
    pytest.param("daily_realized_profit", ["-600", "-900"], None, id="S22 a losing day never triggers"),
]


@pytest.mark.parametrize(("name", "results", "value"), CLOSED)
def test_closed_pnl(name: str, results: list[str], value: str | None) -> None:
    rule = a_rule(name, include_unrealized=False)

    judged = rule.judge(day(results).snapshot())

    assert [b.value for b in judged.breaches] == ([] if value is None else [value])


def test_a_breach_locks_until_the_reset_and_demands_a_flat_account() -> None:
    rule, desk = lost(), day(["-450"])
    desk.wait(30)
    at = desk.now.wall
    desk.place("ES", 1, limit=4000.0)

    judged = rule.judge(desk.trade("-100"))

    lock = judged.lock
    assert lock is not None
    assert (lock.kind, lock.since, lock.until) == (LockKind.UNTIL_RESET, at, RESET)
    assert lock.flatten
    assert judged.demands == (AccountFlat(),)
    assert [b.id for b in judged.breaches] == ["2025-11-19/daily_realized_loss/*/fill:5/1"]
    assert lock.breach == judged.breaches[0].id


def test_a_flat_account_in_breach_is_locked_and_asked_for_nothing_more() -> None:
    judged = lost().judge(day(["-500"]).snapshot())

    assert judged.lock is not None
    assert judged.demands == ()


def test_s15_a_fill_while_locked_counts_and_changes_nothing() -> None:
    rule, desk = lost(), day(["-550"])
    first = rule.judge(desk.snapshot())
    desk.wait(30)

    locked = rule.judge(desk.buy("MNQ", 1, 21000.0))
    closed = rule.judge(desk.sell("MNQ", 1, 20990.0, own=OwnClose.LOCKOUT))

    assert desk.snapshot().realized == -570_0000
    assert first.breaches == locked.breaches == closed.breaches
    assert first.lock == locked.lock == closed.lock
    assert locked.demands == (AccountFlat(),)


def test_s17_openings_and_voided_fills_are_left_out() -> None:
    rule, desk = lost(), Desk()
    desk.buy("MNQ", 1, 21000.0)
    desk.sell("MNQ", 1, 21000.0, pnl=-600_0000)
    over = rule.judge(desk.snapshot())

    judged = rule.judge(desk.void(2))

    assert over.breaches
    assert judged.breaches == ()


def test_fees_of_both_halves_count() -> None:
    rule, desk = lost(include_unrealized=False), Desk()
    desk.buy("MNQ", 1, 21000.0, fees="0.37")

    judged = rule.judge(desk.sell("MNQ", 1, 21000.0, pnl=-499_2600, fees="0.37"))

    assert [b.value for b in judged.breaches] == ["-500.00"]


def test_s23_a_trade_counts_once_for_both_rules() -> None:
    snapshot = day(["-10"]).snapshot()

    figures = [rule.rule.figure(rule.judge(snapshot).state, snapshot) for rule in (lost(), won())]

    assert [figure.value for figure in figures] == ["-10.00", "-10.00"]


# ------------------------------------------------------------------------------ on the screen


def test_s20_open_and_closed_loss_together_reach_the_limit() -> None:
    rule, desk = lost(limit=-1000), day(["-900"])
    rule.judge(desk.buy("MNQ", 3, 21000.0))

    judged = rule.judge(desk.price("MNQ", 20975.0))

    assert [(b.value, b.cause, b.mark) for b in judged.breaches] == [
        ("-1050.00", "price", "CON.F.US.MNQ.Z25 20975.00")
    ]
    assert judged.lock is not None
    assert judged.demands == (AccountFlat(),)


def test_realized_alone_is_judged_where_unrealized_is_not_included() -> None:
    rule, desk = lost(include_unrealized=False), day(["-400"])
    desk.buy("MNQ", 3, 21000.0)

    judged = rule.judge(desk.price("MNQ", 20000.0))

    assert judged.breaches == ()
    assert rule.rule.bounds(desk.snapshot()) == ()


def test_flattening_what_was_over_on_the_screen_is_no_second_breach() -> None:
    rule, desk = lost(), Desk()
    desk.buy("MNQ", 3, 21000.0)
    seen = rule.judge(desk.price("MNQ", 20600.0))

    closed = rule.judge(desk.sell("MNQ", 3, 20590.0, own=OwnClose.LOCKOUT))

    assert [b.id for b in seen.breaches] == ["2025-11-19/daily_realized_loss/*/price/1"]
    assert closed.breaches == seen.breaches


def test_a_loss_closed_by_the_trader_while_over_on_the_screen_is_no_second_breach() -> None:
    rule, desk = lost(), Desk()
    desk.buy("MNQ", 3, 21000.0)
    desk.price("MNQ", 20600.0)
    seen = rule.judge(desk.sell("MNQ", 1, 20600.0))

    closed = rule.judge(desk.sell("MNQ", 2, 20600.0))
    won_back = rule.judge(desk.trade("3000"))

    assert [b.cause for b in seen.breaches] == ["fill:2"]
    assert closed.breaches == seen.breaches
    assert won_back.breaches == ()


def test_what_was_closed_and_won_back_within_a_breach_is_not_found_as_another_later() -> None:
    rule, desk = lost(), Desk()
    desk.buy("MNQ", 3, 21000.0)
    rule.judge(desk.price("MNQ", 20600.0))
    desk.sell("MNQ", 3, 20600.0)

    back = rule.judge(desk.trade("3000"))
    later = rule.judge(desk.wait(1))

    assert (back.breaches, later.breaches) == ((), ())


def test_the_same_breach_is_named_after_a_flatten_although_the_state_was_lost() -> None:
    desk = Desk()
    desk.buy("MNQ", 3, 21000.0)
    desk.price("MNQ", 20600.0)

    judged = lost().judge(desk.sell("MNQ", 3, 20590.0, own=OwnClose.LOCKOUT))

    assert [b.id for b in judged.breaches] == ["2025-11-19/daily_realized_loss/*/price/1"]


def test_sums_are_not_judged_while_a_position_is_disputed_but_realized_is() -> None:
    rule, desk = lost(), day(["-450"])
    desk.buy("MNQ", 3, 21000.0)
    desk.price("MNQ", 20999.0)
    desk.report("MNQ", 2)

    disputed = rule.judge(desk.price("MNQ", 20000.0))
    realized = rule.judge(desk.trade("-60", root="ES"))

    assert disputed.breaches == ()
    assert [b.value for b in realized.breaches] == ["-510.00"]


def test_what_cannot_be_measured_is_left_out() -> None:
    rule, desk = lost(), Desk()
    desk.buy("MNQ", 3, 21000.0)
    desk.price("MNQ", 20600.0)
    stale = desk.wait(11)

    judged = rule.judge(stale)

    assert stale.unmeasured == ("CON.F.US.MNQ.Z25",)
    assert judged.breaches == ()


def test_a_breach_does_not_end_because_its_price_grew_old() -> None:
    rule, desk = lost(), Desk()
    desk.buy("MNQ", 3, 21000.0)
    (first,) = rule.judge(desk.price("MNQ", 20600.0)).breaches

    stale = rule.judge(desk.wait(11)).breaches
    again = rule.judge(desk.price("MNQ", 20600.0)).breaches

    assert stale == again == (first,)


def test_a_breach_says_what_could_not_be_measured() -> None:
    rule, desk = lost(), day(["-400"])
    desk.buy("MNQ", 1, 21000.0)
    desk.wait(11)
    desk.buy("ES", 1, 5000.0)

    (breach,) = rule.judge(desk.price("ES", 4998.0)).breaches

    assert breach.inputs["CON.F.US.MNQ.Z25"] == "size +1, unmeasured"
    assert breach.mark == "CON.F.US.ES.Z25 4998.00"


def test_s36_open_and_closed_loss_of_different_contracts_add_up() -> None:
    rule, desk = lost(limit=-900), day(["-800"])
    desk.buy("ES", 1, 5000.0)

    judged = rule.judge(desk.price("ES", 4998.0))

    assert judged.lock is not None
    assert judged.demands == (AccountFlat(),)


def test_profit_reads_the_last_price_and_loss_the_worse_of_last_and_touch() -> None:
    loss, profit, desk = lost(), won(), Desk()
    desk.buy("ES", 10, 5800.0)

    snapshot = desk.price("ES", 5802.0, bid=5799.0, ask=5802.0)

    assert profit.judge(snapshot).breaches[0].value == "1000.00"
    assert loss.judge(snapshot).breaches[0].value == "-500.00"


# ------------------------------------------------------------------------------ the day and its causes


def test_a_limit_crossed_and_won_back_while_nobody_looked_still_locks() -> None:
    rule, desk = lost(), day(["-100"])
    rule.judge(desk.snapshot())
    desk.wait(10)
    crossed_at = desk.now.wall
    desk.trade("-500")
    desk.wait(10)

    judged = rule.judge(desk.trade("200"))
    later = rule.judge(desk.wait(1))

    assert [(b.id, b.value, b.at) for b in judged.breaches] == [
        ("2025-11-19/daily_realized_loss/*/fill:4/1", "-600.00", crossed_at)
    ]
    assert judged.lock is not None
    assert judged.lock.since == crossed_at
    assert (later.breaches, later.lock) == ((), None)


def test_winning_back_ends_the_breach_and_losing_again_begins_another() -> None:
    rule, desk = lost(), day(["-500"])
    ids = [
        tuple(b.cause for b in rule.judge(snapshot).breaches)
        for snapshot in (desk.snapshot(), desk.trade("100"), desk.trade("-200"))
    ]

    assert ids == [("fill:2",), (), ("fill:6",)]


def test_a_flatten_that_wins_a_little_back_while_the_rest_is_down_is_the_same_breach() -> None:
    rule, desk = lost(), day(["-300"])
    desk.buy("ES", 1, 5000.0)
    desk.price("ES", 5001.0)
    desk.buy("NQ", 1, 20000.0)
    desk.price("NQ", 19995.0)
    desk.trade("-200")
    over = rule.judge(desk.snapshot())

    half = rule.judge(desk.sell("ES", 1, 5001.0, own=OwnClose.LOCKOUT))

    assert desk.snapshot().realized == -450_0000
    assert [b.cause for b in over.breaches] == ["fill:6"]
    assert half.breaches == over.breaches


def test_the_breach_ends_with_the_day() -> None:
    rule, desk = lost(), day(["-500"])
    rule.judge(desk.snapshot())
    desk.until(datetime(2025, 11, 19, 17, 0, tzinfo=desk.calendar.zone))

    judged = rule.judge(desk.reset())

    assert (judged.breaches, judged.demands, judged.lock) == ((), (), None)


def test_the_same_breach_has_the_same_name_after_the_state_was_lost() -> None:
    desk = day(["-450", "-100", "-20"])

    assert lost().judge(desk.snapshot()).breaches[0].id == "2025-11-19/daily_realized_loss/*/fill:4/1"


def test_an_admins_baseline_starts_the_day_from_zero() -> None:
    rule, desk = lost(), day(["-550"])
    rule.judge(desk.snapshot())
    desk.wait(1)

    judged = rule.judge(desk.rebase())

    assert (judged.breaches, judged.lock) == ((), None)


def test_the_profit_message_is_what_people_read() -> None:
    judged = won(message="Well done").judge(day(["1000"]).snapshot())

    assert judged.lock is not None
    assert judged.lock.reason == "Well done (the day's P&L is 1000.00, the limit 1000.00)"


# ------------------------------------------------------------------------------ alerts, figures, bounds


def test_one_alert_at_the_share_of_the_limit_although_the_price_trembles() -> None:
    rule, desk = lost(), Desk()
    desk.buy("MNQ", 2, 21000.0)
    prices = (20912.5, 20900.0, 20905.0, 20899.75, 20950.0, 20900.0)

    told = [[n.message for n in rule.judge(desk.price("MNQ", price)).notices] for price in prices]

    text = "the day's P&L is -400.00 of -500.00"
    assert told == [[], [text], [], [], [], [text]]


def test_no_alert_where_none_is_wished() -> None:
    rule = lost(alert_at=None)

    assert rule.judge(day(["-490"]).snapshot()).notices == ()
    assert len(rule.rule.bounds(day([]).snapshot())) == 1


FIGURES = [
    pytest.param(lost, 1, "-100.00", 0.2, "400.00", "20950.00", id="long loses below"),
    pytest.param(lost, -1, "-100.00", 0.2, "400.00", "21050.00", id="short loses above"),
    pytest.param(won, 1, "-100.00", 0.0, "1100.00", "21137.50", id="long wins above"),
    pytest.param(won, -1, "-100.00", 0.0, "1100.00", "20862.50", id="short wins below"),
]


@pytest.mark.parametrize(("make", "side", "value", "used", "headroom", "acts_at"), FIGURES)
def test_figures_name_the_price_at_which_the_day_would_be_over(
    make: type, side: int, value: str, used: float, headroom: str, acts_at: str
) -> None:
    rule, desk = make(), day(["-100"])
    snapshot = desk.buy("MNQ", 4, 21000.0) if side > 0 else desk.sell("MNQ", 4, 21000.0)

    figure = rule.rule.figure(rule.state, snapshot)

    assert (figure.value, figure.used, figure.headroom) == (value, used, headroom)
    assert figure.acts_at == acts_at
    there = rule.judge(desk.price("MNQ", float(acts_at)))
    assert there.breaches


def test_figures_show_realized_alone_where_unrealized_is_not_included() -> None:
    rule, desk = lost(include_unrealized=False), day(["-100"])
    desk.buy("MNQ", 1, 21000.0)
    snapshot = desk.price("MNQ", 20900.0)

    figure = rule.rule.figure(rule.state, snapshot)

    assert (figure.value, figure.acts_at) == ("-100.00", None)


# ------------------------------------------------------------------------------ properties

RESULTS = st.lists(st.integers(-400, 400), min_size=1, max_size=8)


@given(RESULTS)
def test_losses_mirror_profits(results: list[int]) -> None:
    loss = lost(limit=-500, include_unrealized=False).judge(day([str(r) for r in results]).snapshot())
    profit = won(target=500, include_unrealized=False).judge(day([str(-r) for r in results]).snapshot())

    assert [(b.cause, b.at) for b in loss.breaches] == [(b.cause, b.at) for b in profit.breaches]


@given(RESULTS, st.sets(st.integers(0, 16)))
def test_judging_more_or_less_often_gives_the_same_breaches(results: list[int], looked: set[int]) -> None:
    desk, snapshots = Desk(), []
    for result in results:
        desk.wait(30)
        snapshots.append(desk.trade(result))
    often, rarely = lost(include_unrealized=False), lost(include_unrealized=False)

    every = {b.id for snapshot in snapshots for b in often.judge(snapshot).breaches}
    some = [s for place, s in enumerate(snapshots) if place in looked] + snapshots[-1:]
    missed = {b.id for snapshot in some for b in rarely.judge(snapshot).breaches}

    assert missed == every


@given(RESULTS)
def test_judging_the_same_snapshot_twice_changes_nothing(results: list[int]) -> None:
    rule, snapshot = lost(), day([str(r) for r in results]).snapshot()
    rule.judge(snapshot)
    first = rule.judge(snapshot)

    again = rule.judge(snapshot)

    assert again == first
