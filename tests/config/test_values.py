"""How amounts, spans, times and shares are written: every accepted form and every refused one."""

from datetime import date, time, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config import values
from config.values import Unreadable


@pytest.mark.parametrize(
    ("written", "money"),
    [
        (-500, -5_000_000),
        ("-500", -5_000_000),
        ("-500.00", -5_000_000),
        (12.5, 125_000),
        ("0.0001", 1),
        (".5", 5_000),
        ("1e3", 10_000_000),
        (0.1, 1_000),
        (Decimal("7.8125"), 78_125),
    ],
)
def test_dollars_plain_numbers_are_exact(written: str | float | Decimal, money: int) -> None:
    assert values.dollars(written) == money


@pytest.mark.parametrize(
    "written",
    ["$500", "1,000", "", "abc", "nan", "inf", "-", "0.00001", True, "1_000", "٣", "1e999", float("nan")],
)
def test_dollars_anything_else_is_refused(written: str | float) -> None:
    with pytest.raises(Unreadable):
        values.dollars(written)


@given(st.integers(-(10**12), 10**12))
def test_dollars_text_reads_back_the_same(money: int) -> None:
    text = values.dollars_text(money)

    assert values.dollars(text) == money
    assert len(text.split(".")[1]) >= 2
    assert text.startswith("-") == (money < 0)


@pytest.mark.parametrize(
    ("written", "seconds"), [("30s", 30), ("5m", 300), ("2h", 7200), ("1d", 86400), ("0s", 0), (" 90s ", 90)]
)
def test_duration_number_and_unit_is_read(written: str, seconds: int) -> None:
    assert values.duration(written) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("written", "hint"),
    [
        ("-5m", "write 5m"),
        ("60", "write 60s"),
        ("1.5h", "such as 90s"),
        ("1h30m", "such as 90s"),
        ("5 minutes", "such as 90s"),
        ("5M", "such as 90s"),
        ("", "such as 90s"),
        ("9999999999d", "shorter"),
        ("until_reset", "such as 90s"),
    ],
)
def test_duration_unreadable_is_refused_with_a_hint(written: str, hint: str) -> None:
    with pytest.raises(Unreadable) as refused:
        values.duration(written)

    assert hint in refused.value.hint


@given(st.integers(0, 3650 * 86400))
def test_duration_text_reads_back_the_same(seconds: int) -> None:
    span = timedelta(seconds=seconds)

    assert values.duration(values.duration_text(span)) == span


@pytest.mark.parametrize(
    ("written", "moment"),
    [("17:00", time(17)), ("08:30:15", time(8, 30, 15)), ("00:00", time(0)), ("23:59:59", time(23, 59, 59))],
)
def test_time_of_day_is_read(written: str, moment: time) -> None:
    assert values.time_of_day(written) == moment
    assert values.time_of_day(values.time_text(moment)) == moment


@pytest.mark.parametrize(
    ("written", "hint"),
    [
        ("8:30", "write 08:30"),
        ("24:00", "midnight is 00:00"),
        ("1020", "in quotes"),
        ("17:60", "HH:MM"),
        ("5pm", "HH:MM"),
        ("17:00:00.5", "HH:MM"),
    ],
)
def test_time_of_day_unreadable_is_refused_with_a_hint(written: str, hint: str) -> None:
    with pytest.raises(Unreadable) as refused:
        values.time_of_day(written)

    assert hint in refused.value.hint


@pytest.mark.parametrize("number", ["0", "1", "7", "-1"])
def test_weekday_number_is_refused_because_people_count_differently(number: str) -> None:
    with pytest.raises(Unreadable, match="not a weekday"):
        values.weekday(number)


def test_weekday_is_one_of_seven_words() -> None:
    assert [values.weekday(word) for word in ("mon", "SUN")] == ["mon", "sun"]
    with pytest.raises(Unreadable) as refused:
        values.weekday("Monday")
    assert refused.value.hint == "write mon"


@pytest.mark.parametrize("written", ["America/Chicago", "UTC", "Asia/Kolkata"])
def test_zone_iana_name_is_read(written: str) -> None:
    assert str(values.zone(written)) == written


@pytest.mark.parametrize(
    ("written", "hint"),
    [
        ("America/Chicgo", "America/Chicago"),
        ("EST", "did you mean|IANA"),
        ("America", "did you mean|IANA"),
        ("../etc/passwd", "IANA"),
        ("/etc/localtime", "did you mean|IANA"),
        ("", "IANA"),
    ],
)
def test_zone_unknown_or_abbreviated_is_refused(written: str, hint: str) -> None:
    with pytest.raises(Unreadable) as refused:
        values.zone(written)

    assert any(part in refused.value.hint for part in hint.split("|"))


@pytest.mark.parametrize(
    ("written", "part"), [("80%", Fraction(4, 5)), ("100%", Fraction(1)), ("0.5%", Fraction(1, 200))]
)
def test_share_percentage_is_exact_and_reads_back(written: str, part: Fraction) -> None:
    assert values.share(written) == part
    assert values.share(values.share_text(part)) == part


@pytest.mark.parametrize("written", ["0.8", "80", "0%", "101%", "-5%", "%", "abc%"])
def test_share_anything_else_is_refused(written: str) -> None:
    with pytest.raises(Unreadable):
        values.share(written)


def test_calendar_date_is_iso_only() -> None:
    assert values.calendar_date("2026-11-27") == date(2026, 11, 27)
    for wrong in ("2026-13-01", "27.11.2026", "20261127", "2026-11-27T00:00"):
        with pytest.raises(Unreadable):
            values.calendar_date(wrong)


def test_close_match_finds_what_was_probably_meant() -> None:
    assert (
        values.close_match("daily_realised_loss", ["daily_realized_loss", "loss_streak"])
        == "daily_realized_loss"
    )
    assert values.close_match("zzz", ["daily_realized_loss"]) == ""
