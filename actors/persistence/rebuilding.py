"""A new file from what can still be read of an old one: reading, building, swapping."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from msgspec import Struct
from sqlite_utils import Database

from actors.crash_points import crash_point

from . import backup
from .connecting import connect
from .schema import migrations

TABLES = (
    "lockouts",
    "meta",
    "resets",
    "audit",
    "contracts",
    "rule_states",
    "days",
    "receipts",
    "fills",
    "history",
)

type Found = tuple[object, ...]


class Part(Struct, frozen=True):
    """What could be read of one table."""

    columns: tuple[str, ...] = ()
    rows: tuple[Found, ...] = ()
    whole: bool = False
    """Read from end to end."""


def salvage(path: Path) -> dict[str, Part]:
    """Read whatever a damaged file still gives, table by table, without writing to it."""
    parts = {}
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as conn:
            for table in TABLES:
                parts[table] = _readable(conn, table)
    except sqlite3.DatabaseError:
        return {}
    return parts


def _readable(conn: sqlite3.Connection, table: str) -> Part:
    """All rows from the front up to the damage, then from the back up to it."""
    front = _until_damage(conn, table, "ASC")
    if front.whole:
        return front
    back = _until_damage(conn, table, "DESC")
    return Part(front.columns or back.columns, tuple(dict.fromkeys([*front.rows, *reversed(back.rows)])))


def _until_damage(conn: sqlite3.Connection, table: str, order: str) -> Part:
    columns: tuple[str, ...] = ()
    found: list[Found] = []
    try:
        # NOT INDEXED: the index may be what is damaged.
        cursor = conn.execute(f"SELECT * FROM {table} NOT INDEXED ORDER BY rowid {order}")
        columns = tuple(column[0] for column in cursor.description)
        found.extend(iter(cursor.fetchone, None))
    except sqlite3.DatabaseError:
        return Part(columns, tuple(found))
    return Part(columns, tuple(found), True)


def kept_meta(path: Path, key: str) -> bytes | None:
    """One value of a store that nobody has open, as far as it can be read in whatever state it is."""
    part = salvage(path).get("meta", Part()) if path.exists() else Part()
    found = (row for row in part.rows if row[part.columns.index("key")] == key)
    row = next(found, None)
    return None if row is None else bytes(row[part.columns.index("body")])  # type: ignore[call-overload]


def backed_up_lockouts(backups: Path) -> Part:
    """Those in force in the newest backup that can be read."""
    for path in backup.listing(backups):
        kept = salvage(path).get("lockouts", Part())
        if kept.whole:
            ended_at = kept.columns.index("ended_at")
            in_force = tuple(row for row in kept.rows if row[ended_at] is None)
            return Part(kept.columns, in_force, True)
    return Part()


def build(path: Path, parts: list[tuple[str, Part]]) -> None:
    building = _beside(path, ".building")
    for left in _with_companions(building):
        left.unlink(missing_ok=True)
    with closing(connect(building)) as db:
        migrations.apply(db)
        for table, part in parts:
            _refill(db, table, part)
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    backup.durable(building)
    crash_point("store.built")
    # Only a complete file ever has this name, so that a later start may trust it.
    building.replace(_beside(path, ".rebuilt"))


def _refill(db: Database, table: str, part: Part) -> None:
    known = {str(row[1]) for row in db.execute(f"PRAGMA table_info({table})")}
    # A newer version's store may have more columns: what this one knows of a lockout still protects.
    kept = [i for i, column in enumerate(part.columns) if column in known]
    names, places = ", ".join(part.columns[i] for i in kept), ", ".join("?" * len(kept))
    with db.atomic():
        for row in part.rows:
            values = [row[i] for i in kept]
            try:
                db.execute(f"INSERT OR IGNORE INTO {table} ({names}) VALUES ({places})", values)
            except (sqlite3.IntegrityError, sqlite3.OperationalError):
                continue  # a row that the damage made unfit for its table


def set_aside(path: Path, now: datetime, why: str = "damaged") -> str | None:
    """Move the old file out of the way with its write-ahead log, which must never meet another file."""
    stem = f"{path.name}.{why}-{now.astimezone(UTC):%Y%m%dT%H%M%SZ}"
    aside = path.with_name(stem)
    number = 1
    while aside.exists():
        number += 1
        aside = path.with_name(f"{stem}-{number}")
    existed = path.exists()
    crash_point("store.setting_aside")
    for old, new in zip(_with_companions(path), _with_companions(aside), strict=True):
        if old.exists():
            old.replace(new)
    crash_point("store.set_aside")
    return aside.name if existed else None


def finish_rebuild(path: Path) -> None:
    """The last step, also of a rebuild that a crash interrupted just before it."""
    rebuilt = _beside(path, ".rebuilt")
    if not path.exists() and rebuilt.exists():
        rebuilt.replace(path)
        crash_point("store.swapped")
        backup.durable(path.parent)
    rebuilt.unlink(missing_ok=True)


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _with_companions(path: Path) -> tuple[Path, ...]:
    return tuple(_beside(path, suffix) for suffix in ("-wal", "-shm", ""))
