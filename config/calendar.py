"""The exchange's holidays and early closes per product group, from a shipped table.

The table is exchange hours; a firm's own flat-by time is a session's end. It is written by
`config.make_calendar`, which also says where the hours come from and where sources disagree.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, time
from functools import cache
from importlib import resources
from zoneinfo import ZoneInfo

from config.instruments import product_group

__all__ = ["EQUITY", "Holiday", "HolidayTable", "holiday_table", "product_group"]

EQUITY = "equity"
"""The group an account-wide session and the reset keep."""

WARN_DAYS_BEFORE_END = 90


@dataclass(frozen=True, slots=True)
class Holiday:
    """A date on which a product group trades less than usual."""

    date: date
    reason: str
    close: time | None
    """Local time of the early close, in the table's zone; None where the whole date is closed."""
    source: str
    agreed: bool
    """Whether the sources agree for this group; where they do not, `close` is the earliest."""


@dataclass(frozen=True, slots=True)
class HolidayTable:
    """Every holiday from `first` to `last`, by date and product group."""

    first: date
    last: date
    zone: ZoneInfo
    days: Mapping[tuple[date, str], Holiday]

    def covers(self, day: date) -> bool:
        """Whether the table says anything about the date; outside it sessions run without holidays."""
        return self.first <= day <= self.last

    def ends_soon(self, today: date) -> bool:
        """Whether it is time to warn that the table ends."""
        return (self.last - today).days < WARN_DAYS_BEFORE_END

    def on(self, day: date, group: str | None = EQUITY) -> Holiday | None:
        """The group's holiday on a date; None on a usual one. An unknown product keeps equity's."""
        return self.days.get((day, group or EQUITY))


@cache
def holiday_table() -> HolidayTable:
    """The shipped table."""
    read = json.loads(resources.files("config").joinpath("cme_holidays.json").read_text("ascii"))
    days = {}
    for entry in read["days"]:
        day = date.fromisoformat(entry["date"])
        for group, hours in entry["hours"].items():
            close = None if hours == "closed" else time.fromisoformat(hours)
            agreed = group not in entry["doubtful"]
            days[day, group] = Holiday(day, entry["reason"], close, entry["source"], agreed)
    first, last = date.fromisoformat(read["first"]), date.fromisoformat(read["last"])
    return HolidayTable(first, last, ZoneInfo(read["zone"]), days)
