"""How long what is kept: oldest first, in steps far shorter than a deadline, after a backup that holds it.

Days, lockouts, single values and the audit chain stay for good: they are small, and the chain would break.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlite_utils import Database

from actors.crash_points import crash_point
from actors.messages import HistoryKind

from .schema import instant_text

YEARS = timedelta(days=800)
"""Two trading years and a margin: what happened to the account, for taxes and for learning."""
MONTHS = timedelta(days=120)
"""What the program did beside, for finding out why."""

HISTORY = {
    HistoryKind.FILL: YEARS,
    HistoryKind.BREACH: YEARS,
    HistoryKind.DEMAND: YEARS,
    HistoryKind.ENFORCEMENT: YEARS,
    HistoryKind.LOCKOUT: YEARS,
    HistoryKind.UNLOCK: YEARS,
    HistoryKind.RESET: YEARS,
    HistoryKind.ADMIN: YEARS,
    HistoryKind.ALERT: MONTHS,
    HistoryKind.RESTART: MONTHS,
    HistoryKind.LINK: MONTHS,
}
FILLS, RESETS, RECEIPTS = YEARS, YEARS, MONTHS
"""Rows the program itself works with; a receipt is also a line of history."""


class Rule(NamedTuple):
    """Rows of one table that may go: which, and the values that go into it (the last is the number)."""

    table: str
    where: str
    values: tuple[object, ...]


def rules(db: Database, now: datetime) -> Iterator[Rule]:
    for kind, kept in HISTORY.items():
        yield Rule("history", "kind = ? AND at < ? ORDER BY at", (kind.value, instant_text(now - kept)))
    for (account,) in db.execute("SELECT DISTINCT account FROM days").fetchall():
        yield Rule("fills", "account = ? AND at < ? ORDER BY at", (account, instant_text(now - FILLS)))
    yield Rule(
        "receipts", "opened_at < ? AND verified = 1 ORDER BY opened_at", (instant_text(now - RECEIPTS),)
    )
    yield Rule("resets", "at < ?", (instant_text(now - RESETS),))


def prune(db: Database, now: datetime, most: int) -> int:
    """Let go of up to `most` rows that are old enough; how many went. None left: 0."""
    gone = 0
    with db.atomic():
        for rule in rules(db, now):
            old = f"SELECT rowid FROM {rule.table} WHERE {rule.where} LIMIT ?"
            sql = f"DELETE FROM {rule.table} WHERE rowid IN ({old})"
            gone += db.execute(sql, (*rule.values, most - gone)).rowcount
            if gone >= most:
                break
        crash_point("store.pruning")
    return gone
