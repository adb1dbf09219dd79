"""The one formatter for people, as tables."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.cli import words

CHICAGO = ZoneInfo("America/Chicago")
NOW = datetime(2026, 3, 2, 20, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        ("1234.56", "$1,234.56"),
        ("-500.00", "-$500.00"),
        ("0.00", "$0.00"),
        ("-0.50", "-$0.50"),
        ("15.625", "$15.625"),
        ("7.8125", "$7.8125"),
        ("-1234567.8", "-$1,234,567.80"),
        ("100", "$100.00"),
        (None, "-"),
        ("not money", "not money"),
    ],
)
def test_money(amount: str | None, shown: str) -> None:
    assert words.money(amount) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0s"),
        (0.9, "0s"),
        (5, "5s"),
        (65, "1m 5s"),
        (3665, "1h 1m 5s"),
        (3600, "1h"),
        (3605, "1h 5s"),
        (235_800, "2d 17h 30m"),
        (86_400, "1d"),
        (-65, "-1m 5s"),
    ],
)
def test_span(seconds: float, shown: str) -> None:
    assert words.span(seconds) == shown


@given(st.integers(0, 10**9))
def test_span_never_says_more_than_has_passed(seconds: int) -> None:
    units = {"d": 86400, "h": 3600, "m": 60, "s": 1}
    said = sum(int(part[:-1]) * units[part[-1]] for part in words.span(seconds).split())

    assert said <= seconds
    assert seconds - said < (1 if seconds < 86400 else 60)


@pytest.mark.parametrize(
    ("at", "shown"),
    [
        (NOW, "14:30:00 CST"),
        (NOW + timedelta(days=1), "2026-03-03 14:30:00 CST"),
        (datetime(2026, 7, 1, 22, 0, tzinfo=UTC), "2026-07-01 17:00:00 CDT"),
        (None, "-"),
    ],
)
def test_moment_is_local_with_its_zone_and_the_date_when_not_today(at: datetime | None, shown: str) -> None:
    assert words.moment(at, NOW, CHICAGO) == shown


def test_expiry_has_a_countdown() -> None:
    assert words.until(NOW + timedelta(hours=2, minutes=30), NOW, CHICAGO) == "17:00:00 CST (in 2h 30m)"
    assert words.until(NOW - timedelta(seconds=1), NOW, CHICAGO) == "14:29:59 CST (now)"
    assert words.until(None, NOW) == "until its condition ends or an admin lifts it"


@pytest.mark.parametrize(("size", "shown"), [(2, "+2"), (-3, "-3"), (0, "0")])
def test_size_has_its_side(size: int, shown: str) -> None:
    assert words.size(size) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.41, "0.4s"), (9.99, "10.0s"), (12.7, "12s"), (185, "3m 5s"), (None, "-")]
)
def test_age(seconds: float | None, shown: str) -> None:
    assert words.age(seconds) == shown


def test_instants_are_taken_as_text_or_as_they_are() -> None:
    assert words.parsed("2026-03-02T20:30:00Z") == words.parsed(NOW) == NOW
    assert words.parsed("soon") is None
    assert words.parsed(None) is None
