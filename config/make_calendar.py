"""Writes the holiday table `cme_holidays.json`; `python -m config.make_calendar [LAST_YEAR]` extends it.

Dates follow the exchange's published holiday rules. Hours follow its usual schedules for each product group;
where another source gives another hour, both stand here, the earliest is written and the group is marked as
doubtful. `tests/config/compare_calendars.py` holds the result against two independent packages.
"""

import json
import sys
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

FIRST_YEAR, LAST_YEAR = 2025, 2030
TABLE = Path(__file__).with_name("cme_holidays.json")
GROUPS = ("equity", "rates", "fx", "energy", "metals", "grains", "livestock", "crypto")
RULES = "computed from the exchange's holiday rules and usual hours"

# Kind of day -> group: hours by the exchange's pattern, then what other sources say, separated by "|".
# Chicago time; a group that is not named trades as usual, "open" is one source saying that it does.
_EACH = dict.fromkeys(GROUPS, "closed")
_HALF = {
    "equity": "12:00",
    "rates": "12:00",
    "energy": "13:30",
    "metals": "13:30",
    "grains": "closed",
    "livestock": "closed",
    "crypto": "12:00|open",
}
_LABOR = {**_HALF, "energy": "13:30|12:00", "metals": "13:30|12:00"}
_JUNETEENTH = {
    **_LABOR,
    "equity": "12:00|open",
    "rates": "12:00|open",
    "grains": "closed|open",
    "livestock": "closed|open",
}
_GOOD_FRIDAY = {
    **_EACH,
    "equity": "closed|08:15",
    "rates": "closed|10:15",
    "fx": "closed|10:15",
    "crypto": "closed|10:15",
}
# The monthly employment report comes out on a month's first Friday, Good Friday or not.
_GOOD_FRIDAY_WITH_REPORT = {**_GOOD_FRIDAY, "rates": "10:15|10:00", "fx": "10:15", "crypto": "10:15"}
_JULY_3 = {"equity": "12:15|12:00", "grains": "12:05|open", "livestock": "12:05|open", "crypto": "12:15"}
_AFTER_THANKSGIVING = {
    "equity": "12:15|12:00",
    "rates": "12:15",
    "fx": "12:15",
    "energy": "12:45|13:45",
    "metals": "12:45|13:45",
    "grains": "12:05|12:00",
    "livestock": "12:05|12:00",
    "crypto": "12:45",
}
_CHRISTMAS_EVE = {
    **_AFTER_THANKSGIVING,
    "energy": "12:45|open",
    "metals": "12:45|open",
    "crypto": "12:15",
}
_MOURNING = {"equity": "08:30", "rates": "12:15", "grains": "12:15", "livestock": "12:15"}


def easter(year: int) -> date:
    """Easter Sunday by the Gregorian computus (the Meeus/Jones/Butcher form)."""
    golden, (century, in_century) = year % 19, divmod(year, 100)
    leaps, rest = divmod(century, 4)
    moon_shift = (century - (century + 8) // 25 + 1) // 3
    epact = (19 * golden + century - leaps - moon_shift + 15) % 30
    quads, left = divmod(in_century, 4)
    to_sunday = (32 + 2 * rest + 2 * quads - epact - left) % 7
    late = (golden + 11 * epact + 22 * to_sunday) // 451
    month, day = divmod(epact + to_sunday - 7 * late + 114, 31)
    return date(year, month, day + 1)


def nth(year: int, month: int, weekday: int, number: int) -> date:
    """The number-th weekday (0 = Monday) of a month; -1 is the last."""
    if number < 0:
        last = date(year + month // 12, month % 12 + 1, 1) - timedelta(days=1)
        return last - timedelta(days=(last.weekday() - weekday) % 7)
    first = date(year, month, 1)
    return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (number - 1))


def observed(day: date) -> date:
    """Where a holiday is kept: a Saturday's on Friday, a Sunday's on Monday."""
    return day + timedelta(days={5: -1, 6: 1}.get(day.weekday(), 0))


def holidays(year: int) -> Iterator[tuple[date, str, dict[str, str], str]]:
    """Each holiday, eve and special day of a year: date, reason, hours by group, source."""
    new_year = date(year, 1, 1)
    if new_year.weekday() != 5:  # a Saturday's New Year is not kept on the Friday of the old year
        yield observed(new_year), "New Year's Day", _EACH, RULES
    if year == 2025:
        yield (
            date(2025, 1, 9),
            "National Day of Mourning",
            _MOURNING,
            "the exchange's announcement of 2024-12-30",
        )
    yield nth(year, 1, 0, 3), "Martin Luther King Jr. Day", _HALF, RULES
    yield nth(year, 2, 0, 3), "Presidents' Day", _HALF, RULES
    good_friday = easter(year) - timedelta(days=2)
    report = good_friday.day <= 7
    yield good_friday, "Good Friday", _GOOD_FRIDAY_WITH_REPORT if report else _GOOD_FRIDAY, RULES
    yield nth(year, 5, 0, -1), "Memorial Day", _HALF, RULES
    yield observed(date(year, 6, 19)), "Juneteenth", _JUNETEENTH, RULES
    if date(year, 7, 4).weekday() in (1, 2, 3, 4):
        yield date(year, 7, 3), "Independence Day's eve", _JULY_3, RULES
    independence = observed(date(year, 7, 4))
    yield independence, "Independence Day", _LABOR if independence.day == 3 else _HALF, RULES
    yield nth(year, 9, 0, 1), "Labor Day", _LABOR, RULES
    thanksgiving = nth(year, 11, 3, 4)
    yield thanksgiving, "Thanksgiving Day", _HALF, RULES
    yield thanksgiving + timedelta(days=1), "Friday after Thanksgiving", _AFTER_THANKSGIVING, RULES
    christmas = observed(date(year, 12, 25))
    if date(year, 12, 25).weekday() in (1, 2, 3, 4):
        yield date(year, 12, 24), "Christmas Eve", _CHRISTMAS_EVE, RULES
    yield christmas, "Christmas Day", _EACH, RULES


def _earliest(readings: str) -> str:
    """Closed before any hour, an hour before open."""
    return min(readings.split("|"), key=lambda hours: {"closed": "", "open": "~"}.get(hours, hours))


def _entry(day: date, reason: str, hours: dict[str, str], source: str) -> dict[str, object]:
    doubtful = [group for group, readings in hours.items() if "|" in readings]
    return {
        "date": day.isoformat(),
        "reason": reason,
        "hours": {group: _earliest(readings) for group, readings in hours.items()},
        "source": source,
        "agreed": not doubtful,
        "doubtful": doubtful,
    }


def table(last_year: int) -> dict[str, object]:
    """The whole table as it is written."""
    days = [_entry(*holiday) for year in range(FIRST_YEAR, last_year + 1) for holiday in holidays(year)]
    return {
        "zone": "America/Chicago",
        "first": f"{FIRST_YEAR}-01-01",
        "last": f"{last_year}-12-31",
        "days": days,
    }


def text(last_year: int) -> str:
    """The table as the file holds it: one line per day."""
    whole = table(last_year)
    days = whole.pop("days")
    assert isinstance(days, list)
    head = ", ".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in whole.items())
    lines = ",\n".join(json.dumps(day) for day in days)
    return f'{{{head}, "days": [\n{lines}\n]}}\n'


if __name__ == "__main__":
    TABLE.write_text(text(int(sys.argv[1]) if len(sys.argv) > 1 else LAST_YEAR), "ascii")
