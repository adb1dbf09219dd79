"""Getting the database open whatever is found in its place.

A whole file is checked and migrated (after a backup). A newer one is refused untouched. A damaged,
foreign or missing one is set aside under a timestamped name, never deleted, and a new file takes its
place with everything that could still be read; lockouts that could not be read come from the newest
backup, because losing a file must not unlock an account.
"""

from __future__ import annotations

import secrets
import sqlite3
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct
from sqlite_utils import Database

from actors.crash_points import crash_point
from config.errors import OperatorMustAct

from . import backup, keys
from .audit import head
from .connecting import connect, is_damage, plain
from .queries import Doubt
from .rebuilding import TABLES, Part, backed_up_lockouts, build, finish_rebuild, salvage, set_aside
from .schema import migrations, unknown_migrations

PRESENT = ("lockouts", "meta", "resets", "audit")
"""Of these the present rows count, not a backup's."""


LARGE = ("fills", "history")
CHECKED_WHOLE = 64_000_000
"""Bytes up to which every page is checked at start: some 0.2 s."""
CHECKED_BEFORE = timedelta(days=2)


class CannotOpen(OperatorMustAct):
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


def open_database(path: Path, backups: Path, now: datetime) -> tuple[Database, Opening]:
    """Open, or rebuild and open. Raises CannotOpen where a person has to act first."""
    db, opening = _open(path, backups, now)
    db.execute("INSERT OR IGNORE INTO meta VALUES (?, ?)", (keys.STORE_ID, secrets.token_hex(16).encode()))
    return db, opening


def _open(path: Path, backups: Path, now: datetime) -> tuple[Database, Opening]:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    finish_rebuild(path)
    if not path.exists() or path.stat().st_size == 0:
        return _open_new(path, backups, now)
    db, fault = _examine(path, backups, now)
    if db is None:
        return _rebuild(path, backups, now, fault)
    if migrations.pending(db):
        _migrate(db, path, backups, now)
        return db, Opening("migrated", lockouts=_live(db))
    return db, Opening("good", lockouts=_live(db))


def _open_new(path: Path, backups: Path, now: datetime) -> tuple[Database, Opening]:
    if backup.listing(backups):
        return _rebuild(path, backups, now, "the file is gone, but there are backups of it")
    db = connect(path)
    migrations.apply(db)
    return db, Opening("new")


def _examine(path: Path, backups: Path, now: datetime) -> tuple[Database | None, str]:
    """The database when it is whole and ours; else None and what is wrong with it."""
    try:
        db = plain(path)
        try:
            fault = _fault(db, path, _was_checked(backups, now))
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


def _was_checked(backups: Path, now: datetime) -> bool:
    """Whether a backup, which is checked whole, was made lately."""
    checked = backup.newest_at(backups)
    return checked is not None and timedelta(0) <= now - checked <= CHECKED_BEFORE


def _damage(db: Database, path: Path, lately: bool) -> str | None:
    """All of a small file; of a large one what the guard needs, where the daily backup checked the rest."""
    if not lately or path.stat().st_size <= CHECKED_WHOLE:
        return backup.damage(db.conn)
    small = (table for table in db.table_names() if table in TABLES and table not in LARGE)
    return next(filter(None, (backup.damage(db.conn, table) for table in small)), None)


def _fault(db: Database, path: Path, lately: bool = False) -> str:
    newer = unknown_migrations(db)
    if newer:
        raise NewerStore(
            f"cannot open the store {path}: a newer riskd wrote it ({', '.join(newer)}). "
            "Start that version, or restore a backup made by this one."
        )
    found = _damage(db, path, lately)
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
        crash_point("store.migrating")
        migrations.apply(db)
        crash_point("store.migrated")
    except (sqlite3.Error, OSError, backup.BackupFailed) as error:
        db.close()
        raise CannotOpen(
            f"cannot migrate the store {path}: {error}. It is unchanged; see that there is room in {backups}."
        ) from error


def _live(db: Database) -> int:
    return int(db.execute("SELECT count(*) FROM lockouts WHERE ended_at IS NULL").fetchone()[0])


def _rebuild(path: Path, backups: Path, now: datetime, why: str) -> tuple[Database, Opening]:
    """Build the new file completely beside the old one, then swap: a crash at any point can be continued."""
    salvaged = salvage(path) if path.exists() else {}
    whole = salvaged.get("lockouts", Part()).whole
    parts = list(salvaged.items())
    if not whole:
        # After the salvaged rows, which are newer: a row that is already there is left as it is.
        saved = backed_up_lockouts(backups)
        parts.append(("lockouts", saved))
        whole = saved.whole
    if not whole:
        # In the file itself, before anything else of that name: whoever opens it next must know.
        parts.insert(0, ("meta", _lost(now, why)))
    build(path, parts)
    aside = set_aside(path, now)
    finish_rebuild(path)
    db = connect(path)
    return db, Opening("rebuilt", why, aside, _live(db), whole)


def _lost(now: datetime, why: str) -> Part:
    doubt = Doubt(now, f"the store was damaged and its lockouts could not all be read ({why})")
    return Part(("key", "body"), ((keys.LOCKOUTS_LOST, msgspec.json.encode(doubt)),), True)


def restore_named(path: Path, backups: Path, name: str, now: datetime) -> Opening:
    """Put the backup of that name in the place of a closed store, whatever state that is in.

    Raises CannotOpen, and then nothing has changed.
    """
    if name not in [one.name for one in backup.listing(backups)]:
        raise CannotOpen(f"cannot restore {name}: there is no such backup. riskd backup list names them.")
    return restore(path, backups / name, now)


def restore(path: Path, saved: Path, now: datetime) -> Opening:
    """Put a backup in the place of a closed store. Raises CannotOpen, and then nothing has changed.

    Past rows come from the backup. What protects now stays: lockouts, resets done, single values (the
    configuration in force among them) and the audit chain, which a backup only holds the beginning of.
    """
    try:
        with closing(plain(saved)) as copied:
            fault = _fault(copied, saved)
    except sqlite3.DatabaseError as error:
        fault = str(error)
    if fault:
        raise CannotOpen(f"cannot restore {saved.name}: {fault}. riskd backup list names others.")
    present = salvage(path) if path.exists() else {}
    build(path, [*((table, present.get(table, Part())) for table in PRESENT), *salvage(saved).items()])
    aside = set_aside(path, now, "replaced")
    finish_rebuild(path)
    return Opening("restored", f"restored from {saved.name}", aside)
