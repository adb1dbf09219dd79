"""Calendars as configurations give them."""

from __future__ import annotations

from datetime import date

from actors.trading_day import TradingCalendar
from config.checks import settings_from


def calendar(closed: tuple[date, ...] = ()) -> TradingCalendar:
    """Chicago, reset at 17:00, one session from 08:30 to 15:00 on weekdays."""
    written = {
        "gateway": {"kind": "simulator"},
        "accounts": "all",
        "sessions": {"main": {"start": "08:30", "end": "15:00", "timezone": "America/Chicago"}},
        "holidays": {"closed": [day.isoformat() for day in closed]},
        "rules": {"max_contracts": {"limit": 5}},
    }
    return TradingCalendar.of(settings_from(written))
