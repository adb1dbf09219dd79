"""Reports: sums of stored days alone, gaps shown and left out, averages to the cent."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.persistence.queries import DayReport
from config.values import dollars
from supervisor.report import acts_of, curve_of, days_of, first_day, rules_of, thinned, totals_of

MONDAY = date(2026, 3, 2)


def day(ahead: int, realized: int, wins: int = 0, losses: int = 0, won: int = 0, lost: int = 0) -> DayReport:
    name = "A"
    return DayReport(name, MONDAY + timedelta(days=ahead), realized * 10_000, 4, wins, losses, 0, won, lost)


@pytest.mark.parametrize(
    ("period", "first"),
    [("day", date(2026, 3, 5)), ("week", date(2026, 3, 2)), ("month", date(2026, 3, 1))],
)
def test_report_begins_with_the_first_day_of_its_period(period: str, first: date) -> None:
    assert first_day(period, date(2026, 3, 5)) == first


def test_running_total_peak_and_drawdown_follow_the_stored_days() -> None:
    shown = days_of([day(0, 100), day(1, -250), day(2, 60), day(3, 300)], MONDAY + timedelta(days=3))

    assert [(d["running"], d["peak"], d["drawdown"]) for d in shown] == [
        ("100.00", "100.00", "0.00"),
        ("-150.00", "100.00", "-250.00"),
        ("-90.00", "100.00", "-190.00"),
        ("210.00", "210.00", "0.00"),
    ]


def test_a_weekday_without_figures_is_a_gap_and_counts_nowhere() -> None:
    shown = days_of([day(0, 100), day(2, 50)], MONDAY + timedelta(days=4))

    gaps = {d["day"]: d["gap"] for d in shown}
    assert gaps == {
        "2026-03-02": False, "2026-03-03": True, "2026-03-04": False, "2026-03-05": True,
    }  # fmt: skip
    assert totals_of([day(0, 100), day(2, 50)])[0]["days"] == 2


def test_weekends_are_no_gaps_and_today_is_not_one_yet() -> None:
    shown = days_of([day(4, 10)], MONDAY + timedelta(days=7))

    assert [d["day"] for d in shown] == ["2026-03-06"]


@pytest.mark.parametrize(
    ("wins", "losses", "won", "lost", "expected"),
    [
        (0, 0, 0, 0, (None, None, None)),
        (1, 0, 1_000_000, 0, (1.0, "100.00", None)),
        (1, 2, 1_000_000, -3_000_000, (0.3333, "100.00", "-150.00")),
        (3, 3, 1_000_000, -1_000_000, (0.5, "33.33", "-33.33")),
        (2, 8, 101, -200, (0.2, "0.01", "0.00")),
    ],
)
def test_rates_and_averages(wins: int, losses: int, won: int, lost: int, expected: object) -> None:
    (shown,) = days_of([day(0, 0, wins, losses, won, lost)], MONDAY)

    assert (shown["win_rate"], shown["average_win"], shown["average_loss"]) == expected


@given(st.lists(st.integers(-900, 900), min_size=1, max_size=30))
def test_the_total_is_what_the_days_add_up_to(results: list[int]) -> None:
    stored = [day(ahead, realized) for ahead, realized in enumerate(results)]
    (total,) = totals_of(stored)
    days = [d for d in days_of(stored, MONDAY) if not d["gap"]]

    assert dollars(str(total["realized"])) == sum(results) * 10_000
    assert days[-1]["running"] == total["realized"]
    assert dollars(str(total["drawdown"])) == min(dollars(str(d["drawdown"])) for d in days)


LINES: tuple[dict[str, Any], ...] = (
    {"kind": "breach", "account": "A", "rule": "x", "mode": "armed", "at": "1", "text": "too much"},
    {"kind": "breach", "account": "A", "rule": "x", "mode": "shadow", "at": "2", "text": "too much"},
    {"kind": "lockout", "account": "A", "rule": "x", "at": "3", "reason": "locked"},
    {"kind": "lockout", "account": "B", "rule": "manual", "at": "4", "reason": "by hand"},
)


def test_rules_are_counted_with_what_shadow_would_have_done_apart() -> None:
    assert rules_of(LINES) == [
        {"account": "A", "rule": "x", "breaches": 1, "in_shadow": 1, "lockouts": 1},
        {"account": "B", "rule": "manual", "breaches": 0, "in_shadow": 0, "lockouts": 1},
    ]
    assert [act["text"] for act in acts_of(LINES)] == ["too much", "too much", "locked", "by hand"]


def test_the_curve_is_the_running_sum_of_each_account_less_fees() -> None:
    fills = (
        {"account": "A", "at": "1", "pnl": None, "fees": "0.37"},
        {"account": "B", "at": "2", "pnl": "50.00", "fees": "0.00"},
        {"account": "A", "at": "3", "pnl": "-20.00", "fees": "0.37"},
    )
    assert [(p["account"], p["net"]) for p in curve_of(fills)] == [
        ("A", "-0.37"), ("B", "50.00"), ("A", "-20.74"),
    ]  # fmt: skip


@given(st.lists(st.integers()), st.integers(1, 20))
def test_thinning_keeps_order_bound_and_the_last(points: list[int], most: int) -> None:
    numbered = list(enumerate(points))
    kept = thinned(numbered, most)

    assert len(kept) <= most
    assert kept == sorted(kept)
    assert kept[-1:] == numbered[-1:]
