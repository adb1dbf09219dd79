"""History for people: its lines, the chain around a decision, and the figures of past trading days."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime

import msgspec
from msgspec import Struct
from sqlite_utils import Database

from actors.messages import HistoryKind

from .keys import history_id
from .queries import AuditQuery, DayReport, HistoryQuery, ReportQuery, Why, WhyQuery
from .schema import instant_text

_LINE = "SELECT id, at, kind, account, body FROM history"


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
    kinds = query.kinds or (() if query.kind is None else (query.kind,))
    wanted: list[tuple[str, tuple[object, ...]]] = []
    if kinds:
        wanted.append((f"kind IN ({', '.join('?' * len(kinds))})", tuple(kind.value for kind in kinds)))
    if query.account is not None:
        wanted.append(("account = ?", (query.account,)))
    if query.since is not None:
        wanted.append(("at >= ?", (instant_text(query.since),)))
    if query.until is not None:
        wanted.append(("at < ?", (instant_text(query.until),)))
    # Only what is asked for, so that an index fits.
    where = f"WHERE {' AND '.join(sql for sql, _ in wanted)}" if wanted else ""
    values = [value for _, given in wanted for value in given]
    found = _lines(db, f"{_LINE} {where} ORDER BY at DESC, seq DESC LIMIT ?", *values, query.limit)
    return tuple(line.whole() for line in reversed(list(found)))


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
    return _one(
        db,
        f"{_LINE} WHERE kind = 'breach' AND (?1 IS NULL OR account = ?1) ORDER BY at DESC, seq DESC LIMIT 1",
        account,
    )


def _breach_behind(db: Database, query: WhyQuery) -> Line | None:
    """The breach that the line named belongs to: by the id it carries, else the rule's last one before it."""
    line = _one(
        db,
        f"""{_LINE} WHERE (id = ?1 OR id = kind || '/' || account || '/' || ?1)
            AND (?2 IS NULL OR account = ?2) LIMIT 1""",
        query.id,
        query.account,
    )
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
        f"{_LINE} WHERE kind = ? AND account = ? AND json_extract(body, '$.breach') = ? ORDER BY at, seq",
        kind.value,
        breach.account,
        _breach_id(breach),
    )


def _receipts(db: Database, breach: Line) -> Iterator[Line]:
    return _lines(
        db,
        f"""{_LINE} WHERE kind = 'enforcement' AND account = ?1
            AND EXISTS (SELECT 1 FROM json_each(body, '$.breaches') WHERE value = ?2) ORDER BY at, seq""",
        breach.account,
        _breach_id(breach),
    )


def _breach_id(breach: Line) -> str:
    return breach.id.removeprefix(history_id(HistoryKind.BREACH, breach.account, ""))


def days(db: Database, query: ReportQuery) -> tuple[DayReport, ...]:
    """One row per account and trading day, with what its stored fills add up to."""
    found = db.execute(
        """SELECT name, days.day, days.realized, days.trades,
                coalesce(sum(pnl > 0), 0), coalesce(sum(pnl < 0), 0), coalesce(sum(fees), 0)
            FROM days LEFT JOIN fills
                ON fills.account = days.account AND fills.day = days.day AND fills.voided = 0
            WHERE days.day BETWEEN ?1 AND ?2 AND (?3 IS NULL OR name = ?3)
            GROUP BY days.account, days.day ORDER BY days.day, name""",
        (query.first.isoformat(), query.last.isoformat(), query.account),
    )
    return tuple(DayReport(name, date.fromisoformat(day), *figures) for name, day, *figures in found)


def audit(db: Database, query: AuditQuery) -> tuple[dict[str, object], ...]:
    found = db.execute(
        """SELECT seq, entry, digest FROM audit WHERE ?1 IS NULL OR json_extract(entry, '$.at') >= ?1
            ORDER BY seq DESC LIMIT ?2""",
        (_text(query.since), query.limit),
    )
    entries = [{"seq": seq, **msgspec.json.decode(entry), "digest": digest} for seq, entry, digest in found]
    return tuple(reversed(entries))


def _lines(db: Database, sql: str, *values: object) -> Iterator[Line]:
    for id_, at, kind, account, body in db.execute(sql, values):
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
