"""Getting the database open whatever is found in its place.

A whole file is checked and migrated (after a backup). A newer one is refused untouched. A damaged,
foreign or missing one is set aside under a timestamped name, never deleted, and a new file takes its
place with everything that could still be read; lockouts that could not be read come from the newest
backup, because losing a file must not unlock an account.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from msgspec import Struct
from sqlite_utils import Database

from . import backup
from .audit import head
from .schema import migrations, unknown_migrations

SETTINGS = (
    "journal_mode=WAL",
    "synchronous=FULL",
    "fullfsync=1",
    "checkpoint_fullfsync=1",
    "foreign_keys=ON",
    "busy_timeout=5000",
    "temp_store=MEMORY",
)
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
PRESENT = ("lockouts", "meta", "resets", "audit")
"""Of these the present rows count, not a backup's."""
_BROKEN = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class CannotOpen(Exception):
    """The store cannot be opened and must not be replaced either; says why and what would help."""


class NewerStore(CannotOpen):
    """A newer version of the program wrote the store; nothing was changed."""


class Opening(Struct, frozen=True):
    """How the store was found: for the log, an alert, and `doctor`."""

    state: Literal["new", "good", "migrated", "rebuilt", "restored"]
    why: str = ""
    set_aside: str | None = None
    lockouts: int = 0
    """Lockouts in force that the file holds now."""
    lockouts_complete: bool = True
    """False: lockouts may have been lost with the damaged file."""


type Found = tuple[object, ...]


class Part(Struct, frozen=True):
    """What could be read of one table."""

    columns: tuple[str, ...] = ()
    rows: tuple[Found, ...] = ()
    whole: bool = False
    """Read from end to end."""


def open_database(path: Path, backups: Path, now: datetime) -> tuple[Database, Opening]:
    """Open, or rebuild and open. Raises CannotOpen where a person has to act first."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _finish_rebuild(path)
    if not path.exists() or path.stat().st_size == 0:
        return _open_new(path, backups, now)
    db, fault = _examine(path)
    if db is None:
        return _rebuild(path, backups, now, fault)
    if migrations.pending(db):
        _migrate(db, path, backups, now)
        return db, Opening("migrated", lockouts=_live(db))
    return db, Opening("good", lockouts=_live(db))


def connect(path: Path) -> Database:
    """A connection with our settings. Whoever opens it must be the only one (see backup)."""
    if not path.exists():
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
    db = _plain(path)
    for setting in SETTINGS:
        db.execute(f"PRAGMA {setting}")
    return db


def _plain(path: Path) -> Database:
    # Opened by the tree, used by the persistence thread from then on, so not tied to the opening thread.
    conn = sqlite3.connect(path, timeout=5.0, isolation_level=None, check_same_thread=False)
    return Database(conn, execute_plugins=False)


def _open_new(path: Path, backups: Path, now: datetime) -> tuple[Database, Opening]:
    if backup.listing(backups):
        return _rebuild(path, backups, now, "the file is gone, but there are backups of it")
    db = connect(path)
    migrations.apply(db)
    return db, Opening("new")


def _examine(path: Path) -> tuple[Database | None, str]:
    """The database when it is whole and ours; else None and what is wrong with it."""
    try:
        db = _plain(path)
        try:
            fault = _fault(db, path)
        except BaseException:
            db.close()
            raise
    except sqlite3.DatabaseError as error:
        if is_damage(error):
            return None, str(error)
        raise CannotOpen(
            f"cannot open the store {path}: {error}. Check its owner, its permissions and the disk."
        ) from error
    db.close()
    return (None, fault) if fault else (connect(path), "")


def is_damage(error: sqlite3.DatabaseError) -> bool:
    """The file is at fault, not its permissions, a lock or the disk."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _BROKEN


def _fault(db: Database, path: Path) -> str:
    newer = unknown_migrations(db)
    if newer:
        raise NewerStore(
            f"cannot open the store {path}: a newer riskd wrote it ({', '.join(newer)}). "
            "Start that version, or restore a backup made by this one."
        )
    found = backup.damage(db.conn)
    if found is not None:
        return found
    if not migrations.applied(db):
        return "riskd did not write this file"
    missing = set(TABLES) - set(db.table_names())
    if missing and not migrations.pending(db):
        return f"tables are missing: {', '.join(sorted(missing))}"
    return ""


def _migrate(db: Database, path: Path, backups: Path, now: datetime) -> None:
    try:
        backup.copy(db.conn, backups / backup.name(now, head(db)))
        migrations.apply(db)
    except (sqlite3.Error, OSError, backup.BackupFailed) as error:
        db.close()
        raise CannotOpen(
            f"cannot migrate the store {path}: {error}. It is unchanged; see that there is room in {backups}."
        ) from error


def _live(db: Database) -> int:
    return int(db.execute("SELECT count(*) FROM lockouts WHERE ended_at IS NULL").fetchone()[0])


# ------------------------------------------------------------------------------------ rebuilding


def _rebuild(path: Path, backups: Path, now: datetime, why: str) -> tuple[Database, Opening]:
    """Build the new file completely beside the old one, then swap: a crash at any point can be continued."""
    salvaged = salvage(path) if path.exists() else {}
    whole = salvaged.get("lockouts", Part()).whole
    parts = list(salvaged.items())
    if not whole:
        # After the salvaged rows, which are newer: a row that is already there is left as it is.
        parts.append(("lockouts", _backed_up_lockouts(backups)))
    _build(path, parts)
    aside = set_aside(path, now)
    _finish_rebuild(path)
    db = connect(path)
    return db, Opening("rebuilt", why, aside, _live(db), whole)


def restore(path: Path, saved: Path, now: datetime) -> Opening:
    """Put a backup in the place of a closed store. Raises CannotOpen, and then nothing has changed.

    Past rows come from the backup. What protects now stays: lockouts, resets done, single values (the
    configuration in force among them) and the audit chain, which a backup only holds the beginning of.
    """
    try:
        with closing(_plain(saved)) as copied:
            fault = _fault(copied, saved)
    except sqlite3.DatabaseError as error:
        fault = str(error)
    if fault:
        raise CannotOpen(f"cannot restore {saved.name}: {fault}. riskd backup list names others.")
    present = salvage(path)
    _build(path, [*((table, present.get(table, Part())) for table in PRESENT), *salvage(saved).items()])
    aside = set_aside(path, now, "replaced")
    _finish_rebuild(path)
    return Opening("restored", f"restored from {saved.name}", aside)


def _build(path: Path, parts: list[tuple[str, Part]]) -> None:
    building = _beside(path, ".building")
    for left in _with_companions(building):
        left.unlink(missing_ok=True)
    with closing(connect(building)) as db:
        migrations.apply(db)
        for table, part in parts:
            _refill(db, table, part)
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    backup.durable(building)
    # Only a complete file ever has this name, so that a later start may trust it.
    building.replace(_beside(path, ".rebuilt"))


def _finish_rebuild(path: Path) -> None:
    """The last step, also of a rebuild that a crash interrupted just before it."""
    rebuilt = _beside(path, ".rebuilt")
    if not path.exists() and rebuilt.exists():
        rebuilt.replace(path)
        backup.durable(path.parent)
    rebuilt.unlink(missing_ok=True)


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


def _refill(db: Database, table: str, part: Part) -> None:
    names, places = ", ".join(part.columns), ", ".join("?" * len(part.columns))
    with db.atomic():
        for row in part.rows:
            try:
                db.execute(f"INSERT OR IGNORE INTO {table} ({names}) VALUES ({places})", row)
            except (sqlite3.IntegrityError, sqlite3.OperationalError):
                continue  # a row that the damage made unfit for its table


def _backed_up_lockouts(backups: Path) -> Part:
    """Those in force in the newest backup that can be read."""
    for path in backup.listing(backups):
        kept = salvage(path).get("lockouts", Part())
        if kept.whole:
            ended_at = kept.columns.index("ended_at")
            return Part(kept.columns, tuple(row for row in kept.rows if row[ended_at] is None))
    return Part()


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _with_companions(path: Path) -> tuple[Path, ...]:
    return tuple(_beside(path, suffix) for suffix in ("-wal", "-shm", ""))


def set_aside(path: Path, now: datetime, why: str = "damaged") -> str | None:
    """Move the old file out of the way with its write-ahead log, which must never meet another file."""
    stem = f"{path.name}.{why}-{now.astimezone(UTC):%Y%m%dT%H%M%SZ}"
    aside = path.with_name(stem)
    number = 1
    while aside.exists():
        number += 1
        aside = path.with_name(f"{stem}-{number}")
    existed = path.exists()
    for old, new in zip(_with_companions(path), _with_companions(aside), strict=True):
        if old.exists():
            old.replace(new)
    return aside.name if existed else None
