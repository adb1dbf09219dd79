"""The holiday table: dates against those the exchange has published, and what it promises about itself."""

from collections import Counter
from datetime import date, time, timedelta
from pathlib import Path

import pytest

from config import make_calendar
from config.calendar import EQUITY, HolidayTable, holiday_table
from config.instruments import TICKS


@pytest.fixture(scope="module")
def table() -> HolidayTable:
    return holiday_table()


# Published dates, closed all day for equity products.
CLOSED = (
    *("2025-01-01", "2025-04-18", "2025-12-25", "2026-01-01", "2026-04-03", "2026-12-25"),
    *("2027-01-01", "2027-03-26", "2027-12-24", "2028-04-14", "2028-12-25"),
)


def test_equity_is_closed_on_the_published_dates_and_no_others(table: HolidayTable) -> None:
    closed = [h.date for (day, group), h in table.days.items() if group == EQUITY and h.close is None]

    assert [str(day) for day in sorted(closed) if day.year < 2029] == list(CLOSED)


@pytest.mark.parametrize(
    ("day", "close"),
    [
        ("2025-01-09", time(8, 30)),
        ("2025-01-20", time(12)),
        ("2025-06-19", time(12)),
        ("2025-07-03", time(12)),
        ("2025-07-04", time(12)),
        ("2025-11-27", time(12)),
        ("2025-11-28", time(12)),
        ("2025-12-24", time(12)),
        ("2026-06-19", time(12)),
        ("2026-07-03", time(12)),
        ("2026-11-26", time(12)),
        ("2026-11-27", time(12)),
        ("2027-06-18", time(12)),
        ("2027-07-05", time(12)),
        ("2028-07-03", time(12)),
        ("2028-11-24", time(12)),
    ],
)
def test_equity_closes_early_on_the_published_dates(table: HolidayTable, day: str, close: time) -> None:
    holiday = table.on(date.fromisoformat(day))

    assert holiday is not None
    assert holiday.close == close


@pytest.mark.parametrize(
    "day", ["2026-07-02", "2027-07-02", "2027-12-23", "2027-12-31", "2028-12-22", "2026-11-25"]
)
def test_dates_that_look_like_eves_and_are_not(table: HolidayTable, day: str) -> None:
    assert table.on(date.fromisoformat(day)) is None


@pytest.mark.parametrize(
    ("day", "group", "close"),
    [
        ("2026-01-19", "grains", None),
        ("2026-01-19", "livestock", None),
        ("2026-01-19", "energy", time(13, 30)),
        ("2026-01-19", "metals", time(13, 30)),
        ("2026-04-03", "fx", time(10, 15)),
        ("2026-04-03", "rates", time(10)),
        ("2025-04-18", "rates", None),
        ("2026-11-27", "energy", time(12, 45)),
        ("2026-11-27", "grains", time(12)),
        ("2025-01-09", "rates", time(12, 15)),
    ],
)
def test_groups_keep_their_own_hours(table: HolidayTable, day: str, group: str, close: time | None) -> None:
    holiday = table.on(date.fromisoformat(day), group)

    assert holiday is not None
    assert holiday.close == close


def test_fx_trades_as_usual_on_half_days(table: HolidayTable) -> None:
    assert table.on(date(2026, 1, 19), "fx") is None


def test_product_of_no_known_group_keeps_the_equity_holidays(table: HolidayTable) -> None:
    assert table.on(date(2026, 12, 25), None) == table.on(date(2026, 12, 25), EQUITY)


def test_where_sources_disagree_the_earliest_is_taken_and_marked(table: HolidayTable) -> None:
    friday = table.on(date(2026, 11, 27))
    christmas = table.on(date(2026, 12, 25))

    assert friday is not None and (friday.agreed, friday.close) == (False, time(12))
    assert christmas is not None and christmas.agreed
    assert all(holiday.source and holiday.reason for holiday in table.days.values())


def test_every_product_has_a_group_that_the_table_knows(table: HolidayTable) -> None:
    groups = {group for _, group in table.days}

    assert groups == set(make_calendar.GROUPS)
    assert {ticks.group for ticks in TICKS.values()} <= groups


def test_every_year_has_its_ten_or_eleven_holidays(table: HolidayTable) -> None:
    whole = Counter(day.year for day, group in table.days if group == "equity")

    assert all(11 <= whole[year] <= 14 for year in range(table.first.year, table.last.year + 1))
    assert all(day.weekday() < 5 for day, _ in table.days)


def test_table_reaches_past_2028_and_says_where_it_ends(table: HolidayTable) -> None:
    assert table.covers(date(2025, 1, 1)) and table.covers(date(2028, 12, 31))
    assert not table.covers(date(2024, 12, 31))
    assert not table.covers(table.last + timedelta(days=1))
    assert table.ends_soon(table.last - timedelta(days=89))
    assert not table.ends_soon(table.last - timedelta(days=90))


def test_shipped_table_is_what_its_generator_writes() -> None:
    shipped = Path(make_calendar.TABLE).read_text("ascii")

    assert shipped == make_calendar.text(make_calendar.LAST_YEAR)


@pytest.mark.parametrize(
    ("year", "sunday"),
    [
        (2024, "2024-03-31"),
        (2025, "2025-04-20"),
        (2026, "2026-04-05"),
        (2027, "2027-03-28"),
        (2028, "2028-04-16"),
        (2038, "2038-04-25"),
    ],
)
def test_easter_falls_where_it_falls(year: int, sunday: str) -> None:
    assert make_calendar.easter(year) == date.fromisoformat(sunday)
