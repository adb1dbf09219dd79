"""Minutes without a word about an account that holds something, while its market is open. Pure.

A hub can be open, answer its pings and tell nothing; reads by REST keep the account right all the same, but
what lives from prices would judge old ones. So somebody is told, and the account is read at once.
"""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from actors.messages import AccountSnapshot
from actors.trading_day import TradingCalendar

SILENT_S = 300.0


class Silence(Struct, frozen=True):
    """What was noticed of one account."""

    since_mono: float
    """From here on it has held something in an open market, or was last heard of."""
    told: bool = False


def listened(
    before: Silence | None,
    snapshot: AccountSnapshot | None,
    heard_mono: float,
    mono: float,
    *,
    in_session: bool,
    after_s: float = SILENT_S,
) -> tuple[Silence | None, bool]:
    """What to remember, and whether to say now that it is silent: once, until something is heard again.

    `heard_mono`: of the account's last event or the market hub's last quote, whichever came later.
    """
    if snapshot is None or not in_session or not _holds(snapshot):
        return None, False
    if before is None:
        return Silence(max(mono, heard_mono)), False
    if heard_mono > before.since_mono:
        return Silence(heard_mono), False
    if before.told or mono - before.since_mono < after_s:
        return before, False
    return Silence(before.since_mono, told=True), True


def _holds(snapshot: AccountSnapshot) -> bool:
    return bool(snapshot.positions) or any(order.working for order in snapshot.orders)


def in_session(calendar: TradingCalendar, sessions: tuple[str, ...], now: datetime) -> bool:
    """Whether one of the configured sessions runs; without any, whether it is no weekend and no holiday."""
    if sessions:
        return any(calendar.is_open(name, now) for name in sessions)
    day = calendar.trading_day(now)
    return day.weekday() < 5 and not calendar.is_closed(day)
