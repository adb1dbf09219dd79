"""The trading day, its resets and sessions, as tables of instants and as properties of any configuration."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.trading_day import NoTradingDay, TradingCalendar, Window, civil, trading_week
from config.checks import settings_from
from config.settings import Session

CHICAGO = ZoneInfo("America/Chicago")
NEW_YORK = ZoneInfo("America/New_York")
HOUR = timedelta(hours=1)


def calendar(**parts: Any) -> TradingCalendar:
    """The calendar of a configuration with these parts; session `main` 08:30-15:00 Chicago."""
    sessions = {"main": {"start": "08:30", "end": "15:00", "timezone": "America/Chicago"}}
    return TradingCalendar.of(
        settings_from({"gateway": {"kind": "simulator"}, "accounts": "all", "sessions": sessions, **parts})
    )


def chicago(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=CHICAGO)


def new_york(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=NEW_YORK)


# Trading days


@pytest.mark.parametrize(
    ("instant", "day"),
    [
        ("2026-09-09 16:59:59", "2026-09-09"),
        ("2026-09-09 17:00:00", "2026-09-10"),
        ("2026-09-09 23:59:59", "2026-09-10"),
        ("2026-09-10 00:00:01", "2026-09-10"),
        ("2026-09-11 17:00:00", "2026-09-12"),  # Friday evening begins Saturday's day
        ("2026-09-13 16:59:59", "2026-09-13"),
        ("2026-09-13 17:00:00", "2026-09-14"),  # the trading week opens with Monday's day
        ("2025-12-24 17:00:00", "2025-12-26"),  # Christmas has no reset: the day runs on
        ("2025-12-25 17:00:00", "2025-12-26"),
        ("2025-12-26 16:59:59", "2025-12-26"),
        ("2026-11-27 12:30:00", "2026-11-27"),  # an early close leaves the reset alone
        ("2026-11-27 17:00:00", "2026-11-28"),
    ],
)
def test_trading_day_is_named_by_its_last_second(instant: str, day: str) -> None:
    assert calendar().trading_day(chicago(instant)) == date.fromisoformat(day)


def test_trading_day_by_midnight_resets_is_the_calendar_date() -> None:
    midnight = calendar(trading_day={"reset": "00:00", "timezone": "UTC"})

    assert midnight.trading_day(datetime(2026, 9, 9, 23, 59, 59, tzinfo=UTC)) == date(2026, 9, 9)
    assert midnight.trading_day(datetime(2026, 9, 10, tzinfo=UTC)) == date(2026, 9, 10)


@pytest.mark.parametrize(
    ("now", "reset"),
    [
        ("2026-09-09 16:59:59", "2026-09-09 17:00"),
        ("2026-09-09 17:00:00", "2026-09-10 17:00"),
        ("2026-09-12 12:00:00", "2026-09-12 17:00"),
        ("2025-12-24 17:00:00", "2025-12-26 17:00"),
        ("2025-12-25 16:59:00", "2025-12-26 17:00"),
        ("2025-03-08 17:00:00", "2025-03-09 17:00"),
        ("2025-11-01 17:00:00", "2025-11-02 17:00"),
    ],
)
def test_next_reset_is_the_next_that_will_happen(now: str, reset: str) -> None:
    assert calendar().next_reset(chicago(now)) == chicago(reset)


@pytest.mark.parametrize(("switch", "hours"), [("2025-03-09", 23), ("2025-11-02", 25), ("2025-06-10", 24)])
def test_s60_reset_happens_once_at_17_local_on_both_clock_changes(switch: str, hours: int) -> None:
    day = date.fromisoformat(switch)
    window = calendar().day_window(day)

    assert window.end - window.start == hours * HOUR
    assert window.start.astimezone(CHICAGO).time() == window.end.astimezone(CHICAGO).time() == time(17)
    assert window.end.astimezone(CHICAGO).date() == day
    assert calendar().next_reset(window.start) == window.end


def test_reset_follows_the_configured_zone_only() -> None:
    read = calendar(trading_day={"reset": "17:00", "timezone": "America/New_York"})

    assert read.next_reset(chicago("2026-09-09 12:00")) == chicago("2026-09-09 16:00")


def test_reset_skips_the_dates_the_operator_closes() -> None:
    read = calendar(holidays={"calendar": "none", "closed": ["2026-09-10", "2026-09-11"]})

    assert read.next_reset(chicago("2026-09-09 17:00")) == chicago("2026-09-12 17:00")
    assert read.previous_reset(chicago("2026-09-12 16:59")) == chicago("2026-09-09 17:00")
    assert read.next_reset(chicago("2026-12-25 12:00")) == chicago("2026-12-25 17:00")


def test_day_window_of_a_date_without_a_reset_is_refused() -> None:
    with pytest.raises(NoTradingDay, match="2025-12-25"):
        calendar().day_window(date(2025, 12, 25))


def test_day_after_a_closed_date_is_as_long_as_both() -> None:
    window = calendar().day_window(date(2025, 12, 26))

    assert (window.start, window.end) == (chicago("2025-12-24 17:00"), chicago("2025-12-26 17:00"))


def test_trading_week_opens_with_mondays_day() -> None:
    assert trading_week(date(2026, 9, 14)) == trading_week(date(2026, 9, 20)) == date(2026, 9, 14)


def test_time_that_the_clocks_skip_is_taken_as_if_they_had_not_and_a_double_one_first() -> None:
    assert civil(date(2025, 3, 9), time(2, 30), CHICAGO).astimezone(CHICAGO) == chicago("2025-03-09 03:30")
    assert civil(date(2025, 11, 2), time(1, 30), CHICAGO) == datetime(2025, 11, 2, 6, 30, tzinfo=UTC)


# Sessions


@pytest.mark.parametrize(
    ("now", "opened"),
    [
        ("2026-09-09 08:29:59", False),
        ("2026-09-09 08:30:00", True),
        ("2026-09-09 14:59:59", True),
        ("2026-09-09 15:00:00", False),
        ("2026-09-12 10:00:00", False),  # Saturday
        ("2026-09-13 10:00:00", False),
        ("2026-12-25 10:00:00", False),
    ],
)
def test_s56_session_is_open_from_start_to_before_end(now: str, opened: bool) -> None:
    assert calendar().is_open("main", chicago(now)) is opened


def test_s57_lock_is_17_and_a_half_hours_overnight_and_65_and_a_half_over_the_weekend() -> None:
    read = calendar(sessions={"cash": {"start": "09:30", "end": "16:00", "timezone": "America/New_York"}})

    wednesday, friday = new_york("2026-09-09 16:00"), new_york("2026-09-11 16:00")

    assert read.next_session_start("cash", wednesday) == wednesday + 17.5 * HOUR
    assert read.next_session_start("cash", friday) == friday + 65.5 * HOUR


def test_s60_lock_until_the_session_ends_right_on_both_clock_changes() -> None:
    spring, autumn = chicago("2025-03-07 15:00"), chicago("2025-10-31 15:00")

    assert calendar().next_session_start("main", spring) == chicago("2025-03-10 08:30")
    assert calendar().next_session_start("main", autumn) == chicago("2025-11-03 08:30")
    elapsed = [calendar().next_session_start("main", now) - now.astimezone(UTC) for now in (spring, autumn)]  # type: ignore[operator]
    assert elapsed == [64.5 * HOUR, 66.5 * HOUR]


@pytest.mark.parametrize(
    ("now", "end"),
    [
        ("2026-11-27 11:59:59", "2026-11-27 12:00"),
        ("2026-11-27 12:00:00", None),
        ("2026-11-25 12:00:00", "2026-11-25 15:00"),
        ("2025-01-09 08:30:00", None),  # closed at 08:30: nothing is left of the session
    ],
)
def test_s61_early_close_shortens_the_session(now: str, end: str | None) -> None:
    assert calendar().session_end("main", chicago(now)) == (chicago(end) if end else None)


def test_early_close_of_the_operator_counts_before_the_tables() -> None:
    read = calendar(
        holidays={
            "early_closes": [
                {"date": "2026-11-27", "close": "12:15"},
                {"date": "2026-09-09", "close": "08:30"},
            ]
        }
    )

    assert read.session_end("main", chicago("2026-11-27 12:10")) == chicago("2026-11-27 12:15")
    assert read.session_window("main", date(2026, 9, 9)) is None


def test_early_close_of_the_operator_is_read_in_the_trading_days_zone() -> None:
    read = calendar(
        trading_day={"reset": "18:00", "timezone": "America/New_York"},
        holidays={"early_closes": [{"date": "2026-09-09", "close": "12:15"}]},
    )

    assert read.session_end("main", chicago("2026-09-09 09:00")) == new_york("2026-09-09 12:15")


def test_early_close_of_the_table_is_chicago_time_whatever_the_trading_days_zone() -> None:
    read = calendar(trading_day={"reset": "18:00", "timezone": "America/New_York"})

    assert read.session_end("main", chicago("2026-11-27 09:00")) == chicago("2026-11-27 12:00")


def test_early_close_later_than_the_end_changes_nothing() -> None:
    read = calendar(holidays={"early_closes": [{"date": "2026-09-09", "close": "16:00"}]})

    assert read.session_end("main", chicago("2026-09-09 09:00")) == chicago("2026-09-09 15:00")


@pytest.mark.parametrize(
    ("now", "start"),
    [
        (
            "2026-09-04 15:00",
            "2026-09-08 08:30",
        ),  # over a weekend and a Monday the operator closes
        ("2025-12-24 12:00", "2025-12-26 08:30"),
        ("2025-12-31 15:00", "2026-01-02 08:30"),
        ("2026-09-09 08:29:59", "2026-09-09 08:30"),
        ("2026-09-09 08:30:00", "2026-09-10 08:30"),
    ],
)
def test_next_session_start_skips_what_has_no_window(now: str, start: str) -> None:
    read = calendar(holidays={"closed": ["2026-09-07"]})

    assert read.next_session_start("main", chicago(now)) == chicago(start)


def test_holidays_not_respected_concern_the_session_only() -> None:
    read = calendar()
    christmas = chicago("2025-12-25 10:00")

    assert read.is_open("main", christmas, respect_holidays=False)
    assert read.session_end("main", chicago("2026-11-27 10:00"), respect_holidays=False) == chicago(
        "2026-11-27 15:00"
    )
    assert read.next_session_start("main", chicago("2025-12-24 16:00"), respect_holidays=False) == chicago(
        "2025-12-25 08:30"
    )
    assert read.next_reset(christmas) == chicago("2025-12-26 17:00")


def test_groups_keep_their_own_holidays() -> None:
    read = calendar()

    assert read.is_open("main", chicago("2026-01-19 10:00"), group="equity")
    assert not read.is_open("main", chicago("2026-01-19 10:00"), group="grains")
    assert read.session_end("main", chicago("2026-01-19 10:00"), group="energy") == chicago(
        "2026-01-19 13:30"
    )
    assert read.session_end("main", chicago("2026-01-19 10:00"), group="fx") == chicago("2026-01-19 15:00")
    assert read.session_end("main", chicago("2026-01-19 10:00"), group=None) == chicago("2026-01-19 12:00")


GLOBEX = {
    "globex": {
        "start": "17:00",
        "end": "16:00",
        "timezone": "America/Chicago",
        "days": ["sun", "mon", "tue", "wed", "thu"],
        "overnight": True,
    }
}


@pytest.mark.parametrize(
    ("now", "opened"),
    [
        ("2026-09-13 16:59:59", False),
        ("2026-09-13 17:00:00", True),  # Sunday evening
        ("2026-09-14 02:00:00", True),
        ("2026-09-14 15:59:59", True),
        ("2026-09-14 16:00:00", False),
        ("2026-09-18 15:59:59", True),  # Friday afternoon, started on Thursday
        ("2026-09-18 17:00:00", False),  # none starts on Friday
        ("2025-12-24 18:00:00", False),  # its window ends on Christmas
        ("2025-12-25 18:00:00", True),  # its window ends on the 26th
        ("2026-11-26 18:00:00", True),
        ("2026-11-27 11:59:59", True),
        ("2026-11-27 12:00:00", False),
    ],
)
def test_overnight_window_belongs_to_the_date_on_which_it_ends(now: str, opened: bool) -> None:
    assert calendar(sessions=GLOBEX).is_open("globex", chicago(now)) is opened


def test_overnight_window_that_an_early_close_precedes_is_none() -> None:
    read = calendar(
        trading_day={"reset": "17:00", "timezone": "Asia/Tokyo"},
        sessions=GLOBEX,
        holidays={"early_closes": [{"date": "2026-09-15", "close": "00:00"}]},
    )

    assert read.session_window("globex", date(2026, 9, 15)) is None


def test_overnight_from_an_hour_to_the_same_hour_runs_round_the_clock() -> None:
    read = calendar(sessions={"day": {"start": "17:00", "end": "17:00", "overnight": True, "days": ["tue"]}})

    assert read.session_window("day", date(2026, 9, 9)) == Window(
        chicago("2026-09-08 17:00"), chicago("2026-09-09 17:00")
    )


def test_overnight_that_ends_on_its_own_day_is_an_ordinary_window() -> None:
    read = calendar(sessions={"main": {"start": "08:30", "end": "15:00", "overnight": True}})

    assert read.session_window("main", date(2026, 9, 9)) == Window(
        chicago("2026-09-09 08:30"), chicago("2026-09-09 15:00")
    )


def test_session_without_a_zone_has_the_trading_days() -> None:
    read = calendar(
        trading_day={"timezone": "America/New_York"}, sessions={"main": {"start": "09:30", "end": "16:00"}}
    )

    assert read.next_session_start("main", new_york("2026-09-09 09:00")) == new_york("2026-09-09 09:30")


def test_session_on_every_closed_day_never_starts() -> None:
    read = calendar(
        sessions={"main": {"start": "08:30", "end": "15:00", "days": ["mon"]}},
        holidays={
            "calendar": "none",
            "closed": [str(date(2026, 9, 14) + timedelta(weeks=i)) for i in range(60)],
        },
    )

    assert read.next_session_start("main", chicago("2026-09-09 09:00")) is None


def test_past_the_table_sessions_run_without_holidays() -> None:
    read = calendar()

    assert not read.covers(date(2035, 12, 25))
    assert read.covers(date(2026, 12, 25))
    assert read.is_open("main", chicago("2035-12-25 10:00"))
    assert calendar(holidays={"calendar": "none"}).covers(date(2035, 12, 25))


# Properties

ZONES = st.sampled_from(
    [
        "America/Chicago",
        "America/New_York",
        "Europe/London",
        "Australia/Lord_Howe",
        "Asia/Kolkata",
        "UTC",
        "America/Sao_Paulo",
    ]
).map(ZoneInfo)
TIMES = st.times(timezones=st.none()).map(lambda at: at.replace(microsecond=0))
DATES = st.dates(date(2025, 1, 10), date(2028, 12, 1))
INSTANTS = st.datetimes(datetime(2025, 1, 10), datetime(2028, 12, 1), timezones=st.just(UTC))  # noqa: DTZ001


@st.composite
def calendars(draw: st.DrawFn) -> TradingCalendar:
    start, end = draw(TIMES), draw(TIMES)
    days = draw(st.sets(st.sampled_from(("mon", "tue", "wed", "thu", "fri", "sat", "sun")), min_size=1))
    session = Session.model_validate(
        {"start": start, "end": end, "timezone": draw(ZONES), "days": sorted(days), "overnight": end <= start}
    )
    base = calendar(holidays={"calendar": draw(st.sampled_from(["cme", "none"]))})
    return TradingCalendar(
        zone=draw(ZONES),
        reset=draw(TIMES),
        sessions={"s": session},
        table=base.table,
        closed=frozenset(draw(st.sets(DATES, max_size=5))),
        early_closes=draw(st.dictionaries(DATES, TIMES, max_size=5)),
    )


@given(calendars(), INSTANTS)
def test_exactly_one_trading_day_holds_each_instant(read: TradingCalendar, now: datetime) -> None:
    window = read.day_window(read.trading_day(now))

    assert now in window
    assert (window.start, window.end) == (read.previous_reset(now), read.next_reset(now))


@given(calendars(), INSTANTS)
def test_resets_strictly_increase_and_their_days_tile_time(read: TradingCalendar, now: datetime) -> None:
    reset = read.next_reset(now)
    for _ in range(6):
        following = read.next_reset(reset)
        assert reset < following
        assert read.previous_reset(following - timedelta(microseconds=1)) == reset
        assert read.day_window(read.trading_day(reset)) == Window(reset, following)
        assert read.trading_day(reset) > read.trading_day(reset - timedelta(microseconds=1))
        reset = following


@given(calendars(), INSTANTS)
def test_reset_is_at_its_local_time_unless_the_clocks_skip_it(read: TradingCalendar, now: datetime) -> None:
    local = read.next_reset(now).astimezone(read.zone)
    late = datetime.combine(local.date(), local.time()) - datetime.combine(local.date(), read.reset)

    assert timedelta(0) <= late % timedelta(days=1) <= HOUR


@given(calendars(), INSTANTS, st.booleans())
def test_is_open_agrees_with_the_next_start_and_the_end(
    read: TradingCalendar, now: datetime, respect: bool
) -> None:
    end = read.session_end("s", now, respect_holidays=respect)
    start = read.next_session_start("s", now, respect_holidays=respect)

    assert read.is_open("s", now, respect_holidays=respect) == (end is not None)
    assert end is None or end > now
    if start is not None:
        assert start > now
        assert read.is_open("s", start, respect_holidays=respect)
        before = start - timedelta(microseconds=1)
        assert end is not None or not read.is_open("s", before, respect_holidays=respect)


@given(calendars(), INSTANTS)
def test_session_never_runs_on_a_closed_date_or_past_an_early_close(
    read: TradingCalendar, now: datetime
) -> None:
    end = read.session_end("s", now)
    if end is None:
        return
    zone = read.sessions["s"].timezone or read.zone
    days = {end.astimezone(zone).date(), (end - timedelta(seconds=1)).astimezone(zone).date()}

    assert not all(read.is_closed(day) for day in days)
    assert read.is_open("s", now, respect_holidays=False)
