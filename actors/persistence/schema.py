"""The tables, as named migrations that only ever grow at the end.

STRICT tables refuse a REAL where an INTEGER or TEXT is declared: money is whole 1/10000 dollar, prices
and tick sizes are text. Instants are text of fixed width (`instant_text`), so that they sort as they
read.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sqlite_utils import Database, Migrations

migrations = Migrations("riskd")


def instant_text(at: datetime) -> str:
    """`2026-03-02T14:29:50.000000Z`: UTC, fixed width."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


HISTORY = (
    """CREATE TABLE history (
        seq INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        at TEXT NOT NULL,
        kind TEXT NOT NULL,
        account TEXT NOT NULL,
        body TEXT NOT NULL
    ) STRICT""",
    "CREATE INDEX history_by_account ON history (account, at)",
    "CREATE INDEX history_by_kind ON history (kind, at)",
    "CREATE INDEX history_by_time ON history (at)",
)

FILLS = (
    """CREATE TABLE fills (
        account INTEGER NOT NULL,
        id INTEGER NOT NULL,
        order_id INTEGER NOT NULL,
        contract TEXT NOT NULL,
        at TEXT NOT NULL,
        size INTEGER NOT NULL,
        price TEXT NOT NULL,
        pnl INTEGER,
        fees INTEGER NOT NULL,
        voided INTEGER NOT NULL,
        day TEXT NOT NULL,
        own TEXT NOT NULL,
        PRIMARY KEY (account, id)
    ) STRICT""",
    "CREATE INDEX fills_by_time ON fills (account, at)",
    "CREATE INDEX fills_by_day ON fills (account, day)",
)

# Plain rowid tables, not WITHOUT ROWID: a damaged file is read back row by row.
LOCKOUTS = (
    """CREATE TABLE lockouts (
        account INTEGER NOT NULL,
        rule TEXT NOT NULL,
        kind TEXT NOT NULL,
        since TEXT NOT NULL,
        until TEXT,
        reason TEXT NOT NULL,
        flatten INTEGER NOT NULL,
        breach TEXT,
        frozen_sizes TEXT,
        ended_at TEXT,
        ended_by TEXT,
        PRIMARY KEY (account, rule)
    ) STRICT""",
)

RULE_STATES = (
    """CREATE TABLE rule_states (
        account INTEGER NOT NULL,
        rule TEXT NOT NULL,
        seq INTEGER NOT NULL,
        body BLOB NOT NULL,
        PRIMARY KEY (account, rule)
    ) STRICT""",
)

DAYS = (
    """CREATE TABLE days (
        account INTEGER NOT NULL,
        day TEXT NOT NULL,
        name TEXT NOT NULL,
        realized INTEGER NOT NULL,
        trades INTEGER NOT NULL,
        PRIMARY KEY (account, day)
    ) STRICT""",
    "CREATE INDEX days_by_day ON days (day)",
)

CONTRACTS = (
    """CREATE TABLE contracts (
        id TEXT NOT NULL PRIMARY KEY,
        root TEXT NOT NULL,
        name TEXT NOT NULL,
        tick_size TEXT NOT NULL,
        tick_value INTEGER NOT NULL,
        read_at TEXT NOT NULL
    ) STRICT""",
)

RECEIPTS = (
    """CREATE TABLE receipts (
        account INTEGER NOT NULL,
        id TEXT NOT NULL,
        opened_at TEXT NOT NULL,
        verified INTEGER NOT NULL,
        body TEXT NOT NULL,
        PRIMARY KEY (account, id)
    ) STRICT""",
    "CREATE INDEX receipts_open ON receipts (account) WHERE verified = 0",
)

META = ("CREATE TABLE meta (key TEXT NOT NULL PRIMARY KEY, body BLOB NOT NULL) STRICT",)

AUDIT = (
    """CREATE TABLE audit (
        seq INTEGER PRIMARY KEY,
        id TEXT NOT NULL,
        entry TEXT NOT NULL,
        previous TEXT NOT NULL,
        digest TEXT NOT NULL UNIQUE,
        UNIQUE (id, entry)
    ) STRICT""",
    """CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit
        BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END""",
    """CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit
        BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END""",
)

RESETS = (
    """CREATE TABLE resets (
        account TEXT NOT NULL,
        day TEXT NOT NULL,
        at TEXT NOT NULL,
        cause TEXT NOT NULL,
        PRIMARY KEY (account, day)
    ) STRICT""",
)


def first_tables(db: Database) -> None:
    for table in (
        HISTORY,
        FILLS,
        LOCKOUTS,
        RULE_STATES,
        DAYS,
        CONTRACTS,
        RECEIPTS,
        META,
        AUDIT,
        RESETS,
    ):
        for statement in table:
            db.execute(statement)


migrations(name="0001_first_tables")(first_tables)


# What `riskd report` adds up is read from the index alone; a line of one kind of one account is found
# however many others there are.
FOR_A_MILLION_TRADES = (
    "CREATE INDEX history_by_account_and_kind ON history (account, kind, at)",
    "DROP INDEX fills_by_day",
    "CREATE INDEX fills_by_day ON fills (account, day, voided, pnl, fees)",
    "CREATE INDEX receipts_by_time ON receipts (opened_at)",
)

# A line's own `kind` hid the kind of the lockout that it tells of.
LOCKOUT_KIND = """UPDATE history
    SET body = json_remove(json_set(body, '$.lockout_kind', json_extract(body, '$.kind')), '$.kind')
    WHERE kind IN ('lockout', 'unlock') AND json_extract(body, '$.kind') IS NOT NULL"""


def quick_answers(db: Database) -> None:
    for statement in (*FOR_A_MILLION_TRADES, LOCKOUT_KIND):
        db.execute(statement)


migrations(name="0002_quick_answers")(quick_answers)


def unknown_migrations(db: Database) -> tuple[str, ...]:
    """Names that a newer program applied and this one has never heard of; reads only."""
    known = {migration.name for migration in migrations.pending(Database(memory=True))}
    return tuple(m.name for m in migrations.applied(db) if m.name not in known)
