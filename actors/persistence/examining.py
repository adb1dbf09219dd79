"""Looking at a store without changing a byte of it: what `doctor` reports while no daemon runs.

Whoever calls holds the home's lock, so nobody writes meanwhile.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from msgspec import Struct
from sqlite_utils import Database

from . import backup, keys, reading
from .connecting import is_damage
from .rebuilding import TABLES
from .schema import migrations, unknown_migrations

VERSION = sqlite3.sqlite_version


class Examined(Struct, frozen=True):
    """A store as it lies there. `why` says what is wrong with any but a good one."""

    state: Literal["missing", "good", "older", "newer", "damaged", "unreadable"]
    why: str = ""
    configuration: bytes | None = None
    """The configuration that was accepted, as it is kept."""


def examine(path: Path) -> Examined:
    """What a start would find; the file stays as it is."""
    if not path.exists():
        return Examined("missing")
    try:
        with closing(_opened(path)) as conn:
            return _examined(Database(conn, execute_plugins=False))
    except sqlite3.DatabaseError as error:
        return Examined("damaged" if is_damage(error) else "unreadable", str(error))


def _opened(path: Path) -> sqlite3.Connection:
    """With the log that a killed daemon left, if there is one; else without making a file beside it."""
    log = path.with_name(path.name + "-wal")
    how = "mode=ro" if log.exists() and log.stat().st_size else "immutable=1"
    return sqlite3.connect(f"file:{quote(str(path.absolute()))}?{how}", uri=True)


def _examined(db: Database) -> Examined:
    if newer := unknown_migrations(db):
        return Examined("newer", f"a newer riskd wrote it ({', '.join(newer)})")
    if (fault := backup.damage(db.conn)) is not None:
        return Examined("damaged", fault)
    if not migrations.applied(db):
        return Examined("damaged", "riskd did not write this file")
    if pending := migrations.pending(db):
        return Examined("older", f"{len(pending)} migrations are due at the next start")
    if missing := set(TABLES) - set(db.table_names()):
        return Examined("damaged", f"tables are missing: {', '.join(sorted(missing))}")
    return Examined("good", configuration=reading.meta(db, keys.CONFIGURATION))
