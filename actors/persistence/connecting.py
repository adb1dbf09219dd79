"""A connection to the database file, with our settings."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from sqlite_utils import Database

SETTINGS = (
    "journal_mode=WAL",
    "synchronous=FULL",
    "fullfsync=1",
    "checkpoint_fullfsync=1",
    "foreign_keys=ON",
    "busy_timeout=5000",
    "temp_store=MEMORY",
)
_BROKEN = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def connect(path: Path) -> Database:
    """A connection with our settings. Whoever opens it must be the only one (see backup)."""
    if not path.exists():
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
    db = plain(path)
    for setting in SETTINGS:
        db.execute(f"PRAGMA {setting}")
    return db


def plain(path: Path) -> Database:
    """A connection that has changed nothing yet."""
    # Opened by the tree, used by the persistence thread from then on, so not tied to the opening thread.
    conn = sqlite3.connect(path, timeout=5.0, isolation_level=None, check_same_thread=False)
    return Database(conn, execute_plugins=False)


def is_damage(error: sqlite3.DatabaseError) -> bool:
    """The file is at fault, not its permissions, a lock or the disk."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _BROKEN
