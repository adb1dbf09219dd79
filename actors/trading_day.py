"""The trading day, its resets, and the sessions inside it. Pure: `now` is always an input, aware, any zone.

Civil times are computed in the configured zone for each date, never by adding 24 hours, so that a reset at
17:00 is at 17:00 on both clock-change days. A time that the clocks skip is taken as if they had not been
changed (02:30 is then 03:30); of a time that comes twice the first counts. Answers are aware UTC.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from config.calendar import EQUITY, HolidayTable, holiday_table
from config.errors import CallerMustAct
from config.settings import Session, Settings
from config.values import WEEKDAYS

_DAY = timedelta(days=1)
_SEARCH_DAYS = 400


class NoTradingDay(CallerMustAct, ValueError):
    """A date that names no trading day, because its reset does not happen."""


@dataclass(frozen=True, slots=True)
class Window:
    """A span of time: `start` inclusive, `end` exclusive, both UTC."""

    start: datetime
    end: datetime

    def __contains__(self, instant: datetime) -> bool:
        return self.start <= instant < self.end


def civil(day: date, at: time, zone: ZoneInfo) -> datetime:
    """The UTC instant of a local date and time of day."""
    return datetime.combine(day, at, tzinfo=zone).astimezone(UTC)


def trading_week(day: date) -> date:
    """The Monday whose day opens the trading week that the trading day belongs to."""
    return day - timedelta(days=day.weekday())


@dataclass(frozen=True, slots=True)
class TradingCalendar:
    """When days turn and sessions run, by the configuration and the exchange's holidays."""

    zone: ZoneInfo
    reset: time
    sessions: Mapping[str, Session]
    table: HolidayTable | None
    closed: frozenset[date] = frozenset()
    early_closes: Mapping[date, time] = field(default_factory=dict)

    @classmethod
    def of(cls, settings: Settings) -> "TradingCalendar":
        """The calendar of a configuration."""
        holidays = settings.holidays
        return cls(
            zone=settings.trading_day.timezone,
            reset=settings.trading_day.reset,
            sessions=settings.sessions,
            table=holiday_table() if holidays.calendar == "cme" else None,
            closed=frozenset(holidays.closed),
            early_closes={early.date: early.close for early in holidays.early_closes},
        )

    # Holidays

    def is_closed(self, day: date, group: str | None = EQUITY) -> bool:
        """Whether nothing of the product group trades on the date."""
        holiday = self.table.on(day, group) if self.table is not None else None
        return day in self.closed or (holiday is not None and holiday.close is None)

    def early_close(self, day: date, group: str | None = EQUITY) -> datetime | None:
        """When the group's trading ends early on the date; the operator's hour counts before the table's."""
        if day in self.early_closes:
            return civil(day, self.early_closes[day], self.zone)
        holiday = self.table.on(day, group) if self.table is not None else None
        if self.table is None or holiday is None or holiday.close is None:
            return None
        return civil(day, holiday.close, self.table.zone)

    def covers(self, day: date) -> bool:
        """Whether holidays are known for the date; without a calendar there are none to know."""
        return self.table is None or self.table.covers(day)

    # Trading days

    def next_reset(self, now: datetime) -> datetime:
        """The first reset after `now` that will happen."""
        return next(reset for reset in self._resets(now.astimezone(self.zone).date() - _DAY) if reset > now)

    def previous_reset(self, now: datetime) -> datetime:
        """The last reset at or before `now`: the start of the trading day `now` is in."""
        day = now.astimezone(self.zone).date() + _DAY
        while self.is_closed(day) or civil(day, self.reset, self.zone) > now:
            day -= _DAY
        return civil(day, self.reset, self.zone)

    def trading_day(self, instant: datetime) -> date:
        """The day an instant belongs to, named by the date of the day's last second."""
        return self._named(self.next_reset(instant))

    def day_window(self, day: date) -> Window:
        """From the reset that opens the day to the one that ends it. `NoTradingDay` for closed dates."""
        for ends_on in (day, day + _DAY):
            end = civil(ends_on, self.reset, self.zone)
            if not self.is_closed(ends_on) and self._named(end) == day:
                return Window(self.previous_reset(end - timedelta(microseconds=1)), end)
        raise NoTradingDay(f"no trading day is named {day}: its reset does not happen")

    def day_start(self, day: date) -> datetime:
        """The reset that opens the day, or the last one before it where no trading day is named so."""
        try:
            return self.day_window(day).start
        except NoTradingDay:
            return self.previous_reset(civil(day, self.reset, self.zone) - timedelta(microseconds=1))

    def _resets(self, day: date) -> Iterator[datetime]:
        while True:
            if not self.is_closed(day):
                yield civil(day, self.reset, self.zone)
            day += _DAY

    def _named(self, reset: datetime) -> date:
        return (reset - timedelta(seconds=1)).astimezone(self.zone).date()

    # Sessions

    def session_window(
        self, session: str, day: date, *, group: str | None = EQUITY, respect_holidays: bool = True
    ) -> Window | None:
        """The session's window that ends on `day`, a date in the session's zone; None where there is none."""
        hours = self.sessions[session]
        zone = hours.timezone or self.zone
        starts_on = day - _DAY if hours.end <= hours.start else day
        if WEEKDAYS[starts_on.weekday()] not in hours.days:
            return None
        start, end = civil(starts_on, hours.start, zone), civil(day, hours.end, zone)
        if respect_holidays:
            if self.is_closed(day, group):
                return None
            end = min(end, self.early_close(day, group) or end)
        return Window(start, end) if start < end else None

    def is_open(
        self, session: str, now: datetime, *, group: str | None = EQUITY, respect_holidays: bool = True
    ) -> bool:
        """Whether the session runs at `now`."""
        return self._window_at(session, now, group, respect_holidays) is not None

    def session_end(
        self, session: str, now: datetime, *, group: str | None = EQUITY, respect_holidays: bool = True
    ) -> datetime | None:
        """When the session that runs at `now` ends; None where none runs."""
        window = self._window_at(session, now, group, respect_holidays)
        return window.end if window is not None else None

    def next_session_start(
        self, session: str, now: datetime, *, group: str | None = EQUITY, respect_holidays: bool = True
    ) -> datetime | None:
        """The next start after `now`, holidays skipped; None where a year holds none."""
        first = self._local_date(session, now)
        for ahead in range(_SEARCH_DAYS):
            day = first + timedelta(days=ahead)
            window = self.session_window(session, day, group=group, respect_holidays=respect_holidays)
            if window is not None and window.start > now:
                return window.start
        return None

    def _window_at(
        self, session: str, now: datetime, group: str | None, respect_holidays: bool
    ) -> Window | None:
        today = self._local_date(session, now)
        for day in (today, today + _DAY):  # an overnight window ends tomorrow
            window = self.session_window(session, day, group=group, respect_holidays=respect_holidays)
            if window is not None and now in window:
                return window
        return None

    def _local_date(self, session: str, now: datetime) -> date:
        return now.astimezone(self.sessions[session].timezone or self.zone).date()
