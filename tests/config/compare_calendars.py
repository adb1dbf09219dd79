"""Holds the shipped holiday table against two independent packages; run by hand, not collected by pytest.

In an environment of its own, because the packages bring pandas:

    python -m venv /tmp/calendars
    /tmp/calendars/bin/pip install exchange-calendars pandas-market-calendars
    /tmp/calendars/bin/python tests/config/compare_calendars.py

A date passes where the hour is the same as the packages say, or earlier and marked as doubtful.
Ends with 1 and one line per difference otherwise, and 90 days before the table ends.
"""

import json
import sys
from datetime import date
from pathlib import Path
from typing import Any

import pandas_market_calendars as markets

TABLE = Path(__file__).parents[2] / "config" / "cme_holidays.json"
CALENDARS = {
    "equity": ("CME Globex Equity", "CMES"),
    "rates": ("CME Globex Fixed Income", "CME_Bond"),
    "fx": ("CMEGlobex_FX",),
    "energy": ("CMEGlobex_CrudeAndRefined",),
    "metals": ("CMEGlobex_Metals",),
    "grains": ("CMEGlobex_Grains", "CBOT_Agriculture"),
    "livestock": ("CMEGlobex_Livestock",),
    "crypto": ("CME Globex Crypto",),
}
# Their calendar closes a whole exchange where ours follows the exchange's own announcement.
KNOWN = {
    ("2025-01-09", "equity"),
    ("2025-01-09", "rates"),
    ("2025-01-09", "grains"),
    ("2025-01-09", "livestock"),
}


def readings(name: str, first: date, last: date) -> dict[str, str]:
    """Date -> `closed` or the early hour in Chicago, as one package says."""
    pandas: Any = markets.calendar_utils.pd if hasattr(markets.calendar_utils, "pd") else __import__("pandas")
    schedule = markets.get_calendar(name).schedule(str(first), str(last))
    closes = schedule["market_close"].dt.tz_convert("America/Chicago").dt.time
    usual = closes.mode()[0]
    said = {str(day.date()): f"{close:%H:%M}" for day, close in closes.items() if close < usual}
    workdays = {str(day.date()) for day in pandas.bdate_range(str(first), str(last))}
    return said | dict.fromkeys(workdays - {str(day.date()) for day in schedule.index}, "closed")


def differences() -> list[str]:
    """One line per date and group on which the table is later than a package, or differs unmarked."""
    read = json.loads(TABLE.read_text("ascii"))
    first, last = date.fromisoformat(read["first"]), date.fromisoformat(read["last"])
    ours = {
        (day["date"], group): (hours, group in day["doubtful"])
        for day in read["days"]
        for group, hours in day["hours"].items()
    }
    found = []
    for group, names in CALENDARS.items():
        for name in names:
            theirs = readings(name, first, last)
            days = {day for day, of in ours if of == group} | theirs.keys()
            for day in sorted(days):
                hours, doubtful = ours.get((day, group), ("open", False))
                other = theirs.get(day, "open")
                if (day, group) not in KNOWN and (
                    _rank(hours) > _rank(other) or (hours != other and not doubtful)
                ):
                    found.append(
                        f"{day} {group}: {hours}{' (doubtful)' if doubtful else ''}, {name} says {other}"
                    )
    if (last - date.today()).days < 90:  # noqa: DTZ011 - a development check on this machine's date
        found.append(f"the table ends on {last}: run python -m config.make_calendar with a later year")
    return found


def _rank(hours: str) -> str:
    return {"closed": "", "open": "~"}.get(hours, hours)


if __name__ == "__main__":
    lines = differences()
    print("\n".join(lines) or "no differences")
    sys.exit(1 if lines else 0)
