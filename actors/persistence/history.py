"""History for people: its lines, the chain around a decision, and the figures of past trading days."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta

import msgspec
from msgspec import Struct
from sqlite_utils import Database

from actors.messages import HistoryKind

from .keys import history_id
from .queries import AuditQuery, DayReport, HistoryQuery, ReportQuery, Why, WhyQuery
from .schema import instant, instant_text

_LINE = "SELECT seq, id, at, kind, account, body FROM history"
BEFORE, AFTER = timedelta(hours=1), timedelta(days=2)
"""What belongs to a breach is looked for within this time around it: its demand, lockout and receipt."""
_ACCOUNTS = """WITH RECURSIVE named(account) AS (
        SELECT min(account) FROM history
        UNION ALL SELECT (SELECT min(h.account) FROM history h WHERE h.account > named.account)
        FROM named WHERE named.account IS NOT NULL)
    SELECT account FROM named WHERE account IS NOT NULL"""
"""Every account named, one step of the index each."""


class Line(Struct, frozen=True):
    """One line of history."""

    id: str
    at: str
    kind: str
    account: str
    body: dict[str, object]

    def whole(self) -> dict[str, object]:
        """As the contract shows it: the common fields, then the kind's own."""
        return {**self.body, "id": self.id, "at": self.at, "kind": self.kind, "account": self.account}


def lines(db: Database, query: HistoryQuery) -> tuple[dict[str, object], ...]:
    sql, values = lines_sql(query)
    return tuple(line.whole() for line in reversed(list(_lines(db, sql, *values))))


def lines_sql(query: HistoryQuery) -> tuple[str, tuple[object, ...]]:
    """The newest lines asked for, newest first: of each kind by its own index, then the newest of those."""
    kinds = query.kinds or (query.kind,)
    parts = [_lines_of(query, kind) for kind in kinds]
    values = tuple(value for _, given in parts for value in given)
    if len(parts) == 1:
        return parts[0][0], values
    together = " UNION ALL ".join(f"SELECT * FROM ({sql})" for sql, _ in parts)
    return f"SELECT * FROM ({together}) ORDER BY at DESC, seq DESC LIMIT ?", (*values, query.limit)


def _lines_of(query: HistoryQuery, kind: HistoryKind | None) -> tuple[str, tuple[object, ...]]:
    wanted: list[tuple[str, object]] = []
    if kind is not None:
        wanted.append(("kind = ?", kind.value))
    if query.account is not None:
        wanted.append(("account = ?", query.account))
    if query.since is not None:
        wanted.append(("at >= ?", instant_text(query.since)))
    if query.until is not None:
        wanted.append(("at < ?", instant_text(query.until)))
    # Only what is asked for, so that an index fits.
    where = f"WHERE {' AND '.join(sql for sql, _ in wanted)}" if wanted else ""
    values = tuple(value for _, value in wanted)
    return f"{_LINE} {where} ORDER BY at DESC, seq DESC LIMIT ?", (*values, query.limit)


def why(db: Database, query: WhyQuery) -> Why | None:
    """The chain around a line of any kind; None when there is no such line, or no breach behind it."""
    breach = _last_breach(db, query.account) if query.id is None else _breach_behind(db, query)
    if breach is None:
        return None
    inputs = breach.body.get("inputs")
    return Why(
        account=breach.account,
        breach=breach.whole(),
        inputs=inputs if isinstance(inputs, dict) else {},
        demand=tuple(line.whole() for line in _following(db, HistoryKind.DEMAND, breach)),
        enforcement=_first(_receipts(db, breach)),
        lockout=_first(_following(db, HistoryKind.LOCKOUT, breach)),
    )


def _last_breach(db: Database, account: str | None) -> Line | None:
    sql, values = lines_sql(HistoryQuery(HistoryKind.BREACH, account=account, limit=1))
    return _one(db, sql, *values)


def _named(db: Database, name: str, account: str | None) -> Line | None:
    """A line by its id, or by what is left of it without kind and account."""
    line = _one(db, f"{_LINE} WHERE id = ? AND (?2 IS NULL OR account = ?2)", name, account)
    if line is not None:
        return line
    accounts = [found for (found,) in db.execute(_ACCOUNTS)] if account is None else [account]
    ids = [history_id(kind, one, name) for one in accounts for kind in HistoryKind]
    return _one(db, f"{_LINE} WHERE id IN ({', '.join('?' * len(ids))}) LIMIT 1", *ids) if ids else None


def _breach_behind(db: Database, query: WhyQuery) -> Line | None:
    """The breach that the line named belongs to: by the id it carries, else the rule's last one before it."""
    assert query.id is not None
    line = _named(db, query.id, query.account)
    if line is None or line.kind == HistoryKind.BREACH:
        return line
    named = line.body.get("breach") or next(iter(_list(line.body.get("breaches"))), None)
    if named is not None:
        return _one(db, f"{_LINE} WHERE id = ?", history_id(HistoryKind.BREACH, line.account, str(named)))
    return _one(
        db,
        f"""{_LINE} WHERE kind = 'breach' AND account = ? AND json_extract(body, '$.rule') = ? AND at <= ?
            ORDER BY at DESC, seq DESC LIMIT 1""",
        line.account,
        str(line.body.get("rule")),
        line.at,
    )


def _following(db: Database, kind: HistoryKind, breach: Line) -> Iterator[Line]:
    return _lines(
        db,
        f"""{_LINE} WHERE kind = ? AND account = ? AND at BETWEEN ? AND ?
            AND json_extract(body, '$.breach') = ? ORDER BY at, seq""",
        kind.value,
        breach.account,
        *_around(breach),
        _breach_id(breach),
    )


def _receipts(db: Database, breach: Line) -> Iterator[Line]:
    return _lines(
        db,
        f"""{_LINE} WHERE kind = 'enforcement' AND account = ? AND at BETWEEN ? AND ?
            AND EXISTS (SELECT 1 FROM json_each(body, '$.breaches') WHERE value = ?) ORDER BY at, seq""",
        breach.account,
        *_around(breach),
        _breach_id(breach),
    )


def _around(breach: Line) -> tuple[str, str]:
    at = instant(breach.at)
    return instant_text(at - BEFORE), instant_text(at + AFTER)


def _breach_id(breach: Line) -> str:
    return breach.id.removeprefix(history_id(HistoryKind.BREACH, breach.account, ""))


DAYS = """SELECT name, days.day, days.realized, days.trades,
        coalesce(sum(pnl > 0), 0), coalesce(sum(pnl < 0), 0), coalesce(sum(fees), 0),
            coalesce(sum(max(pnl, 0)), 0), coalesce(sum(min(pnl, 0)), 0)
    FROM days LEFT JOIN fills
        ON fills.account = days.account AND fills.day = days.day AND fills.voided = 0
    WHERE days.day BETWEEN ?1 AND ?2 AND (?3 IS NULL OR name = ?3)
    GROUP BY days.account, days.day ORDER BY days.day, name"""


def days(db: Database, query: ReportQuery) -> tuple[DayReport, ...]:
    """One row per account and trading day, with what its stored fills add up to."""
    found = db.execute(DAYS, (query.first.isoformat(), query.last.isoformat(), query.account))
    return tuple(DayReport(name, date.fromisoformat(day), *figures) for name, day, *figures in found)


def audit(db: Database, query: AuditQuery) -> tuple[dict[str, object], ...]:
    found = db.execute(
        """SELECT seq, entry, digest FROM audit
            WHERE (?1 IS NULL OR json_extract(entry, '$.at') >= ?1)
                AND (?2 IS NULL OR json_extract(entry, '$.at') < ?2)
            ORDER BY seq DESC LIMIT ?3""",
        (_text(query.since), _text(query.until), query.limit),
    )
    entries = [{"seq": seq, **msgspec.json.decode(entry), "digest": digest} for seq, entry, digest in found]
    return tuple(reversed(entries))


def _lines(db: Database, sql: str, *values: object) -> Iterator[Line]:
    for _, id_, at, kind, account, body in db.execute(sql, values):
        yield Line(id_, at, kind, account, msgspec.json.decode(body))


def _one(db: Database, sql: str, *values: object) -> Line | None:
    return next(_lines(db, sql, *values), None)


def _first(found: Iterator[Line]) -> dict[str, object] | None:
    line = next(found, None)
    return None if line is None else line.whole()


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _text(at: datetime | None) -> str | None:
    return None if at is None else instant_text(at)
