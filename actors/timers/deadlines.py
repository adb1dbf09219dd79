"""What falls due when: resets, session edges and instants asked for. Pure; `now` is trusted time."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta

from msgspec import Struct

from actors.messages import DayReset
from actors.trading_day import TradingCalendar
from actors.worker import Address

LATE = timedelta(seconds=5)
"""A reset carried out later than this after its instant was missed."""

HOLIDAYS_AHEAD = timedelta(days=90)


class ArmDue(Struct, frozen=True, gc=False, tag=True):
    """Tell `who` a Tick at `at`; the same `key` again replaces the instant."""

    who: Address
    at: datetime
    key: str


def due_reset(calendar: TradingCalendar, last: datetime | None, now: datetime) -> DayReset | None:
    """The reset that is to be carried out now for an account whose last one stood at the instant `last`.

    One for the present day however many were missed: the days between saw nothing of ours. None for an
    account that is seen for the first time, and when the clock was set back. Instants are compared and
    not the days' names: a date that is declared closed renames the day that is running.
    """
    at = calendar.previous_reset(now)
    if last is None or at <= last:
        return None
    return DayReset(calendar.trading_day(now), at, missed=now - at > LATE)


def next_edge(calendar: TradingCalendar, now: datetime) -> datetime:
    """The next reset, session start or session end after `now`."""
    edges = [calendar.next_reset(now)]
    for session in calendar.sessions:
        edges += [
            edge
            for edge in (calendar.session_end(session, now), calendar.next_session_start(session, now))
            if edge is not None and edge > now
        ]
    return min(edges)


def holiday_notice(calendar: TradingCalendar, day: date, *, first_look: bool) -> tuple[str, str, str] | None:
    """Level, text and key of what there is to say of the holiday table on this trading day.

    Daily once the table has ended; in the 90 days before that at every start and every Monday.
    """
    if not calendar.covers(day):
        text = f"no holidays are known for {day}: sessions run without them. Update riskd."
        return "warning", text, f"holidays/ended/{day}"
    if not calendar.covers(day + HOLIDAYS_AHEAD) and (first_look or day.weekday() == 0):
        text = f"the holiday table ends within {HOLIDAYS_AHEAD.days} days of {day}. Update riskd."
        return "warning", text, f"holidays/ending/{day}"
    return None


class Armed(Struct, frozen=True):
    """The instants asked for. Immutable: handed on over a crash."""

    by_key: dict[str, ArmDue] = {}
    first: datetime | None = None
    """The earliest of them."""

    def arm(self, due: ArmDue) -> Armed:
        return _armed({**self.by_key, due.key: due}.values())

    def due(self, now: datetime) -> tuple[tuple[ArmDue, ...], Armed]:
        """Those that fall due by `now`, earliest first, and the rest."""
        if self.first is None or self.first > now:
            return (), self
        ripe = sorted((d for d in self.by_key.values() if d.at <= now), key=lambda d: d.at)
        return tuple(ripe), _armed(d for d in self.by_key.values() if d.at > now)


def _armed(dues: Iterable[ArmDue]) -> Armed:
    by_key = {due.key: due for due in dues}
    return Armed(by_key, min((due.at for due in by_key.values()), default=None))
