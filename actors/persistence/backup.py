"""Copies of the store: made while it is written to, proven readable, the newest seven kept.

SQLite copies page by page through the *same* connection (a second one could lose rows to the write-ahead
log's reset race in versions before 3.51.3). The copying thread waits between its steps, so that commits
go on; pages that a commit changes meanwhile are copied again by SQLite itself.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from actors.crash_points import crash_point
from config.errors import OperatorMustAct

KEPT = 7
PAGES_PER_STEP = 64
PAUSE_S = 0.002
PATTERN = "riskd-*.db"


class BackupFailed(OperatorMustAct):
    """A copy could not be made or did not pass its check; the store itself is untouched."""


class _Cancelled(Exception):
    pass


class BackupRun:
    """One backup in a thread of its own, so that no commit waits for it."""

    def __init__(self, source: sqlite3.Connection, folder: Path, at: datetime, head: str) -> None:
        self._source, self._folder = source, folder
        self._target = folder / name(at, head)
        self._cancel = threading.Event()
        self.error: str | None = None
        self.path: Path | None = None
        self._done: Callable[[BackupRun], None] = lambda _run: None
        self._thread = threading.Thread(target=self._run, name="backup", daemon=True)

    def start(self, done: Callable[[BackupRun], None]) -> None:
        self._done = done
        self._thread.start()

    def cancel(self) -> None:
        """Give up and wait for the copying thread; afterwards the connection may be closed."""
        self._cancel.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            self.path = copy(self._source, self._target, self._pace)
            prune(self._folder)
        except _Cancelled:
            self.error = "given up because the store is closing"
        except (sqlite3.Error, OSError, BackupFailed) as error:
            self.error = str(error)
        self._done(self)

    def _pace(self, _status: int, _remaining: int, _total: int) -> None:
        if self._cancel.wait(PAUSE_S):
            raise _Cancelled


def name(at: datetime, head: str) -> str:
    """`riskd-20260302T142950Z-1f3a90cc.db`: when, and the head of the audit chain."""
    return f"riskd-{at.astimezone(UTC):%Y%m%dT%H%M%SZ}-{head[:8]}.db"


def listing(folder: Path) -> tuple[Path, ...]:
    """Newest first; the names sort by time."""
    return tuple(sorted(folder.glob(PATTERN), reverse=True))


def prune(folder: Path) -> None:
    for old in listing(folder)[KEPT:]:
        old.unlink(missing_ok=True)


def copy(
    source: sqlite3.Connection, target: Path, pace: Callable[[int, int, int], None] | None = None
) -> Path:
    """Copy, check, make durable, and only then give it its name.

    Raises BackupFailed, sqlite3.Error, OSError; then nothing of the copy is left.
    """
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    part.unlink(missing_ok=True)
    os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    try:
        with closing(sqlite3.connect(part)) as copied:
            source.backup(copied, pages=PAGES_PER_STEP, progress=pace)
            # A copy is one file by itself, readable where nothing may be written beside it.
            copied.execute("PRAGMA journal_mode=DELETE")
            verdict = damage(copied)
        if verdict is not None:
            raise BackupFailed(f"cannot keep the backup {target.name}: {verdict}")
        durable(part)
        crash_point("backup.copied")
        part.replace(target)
        crash_point("backup.named")
        durable(target.parent)
    finally:
        part.unlink(missing_ok=True)
    return target


def newest_at(folder: Path) -> datetime | None:
    """When the newest copy was made and checked, by its name."""
    newest = next(iter(listing(folder)), None)
    if newest is None:
        return None
    return datetime.strptime(newest.name.split("-")[1], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)


def damage(conn: sqlite3.Connection, table: str = "3") -> str | None:
    """What `quick_check` finds wrong with the file, or with one table; None when it is whole."""
    found = [str(row[0]) for row in conn.execute(f"PRAGMA quick_check({table})")]
    return None if found == ["ok"] else " ".join("; ".join(found).split())


def durable(path: Path) -> None:
    """Force a file or a folder's entries to the disk (folders: where the system can)."""
    if path.is_dir() and os.name == "nt":
        return
    handle = os.open(path, os.O_RDONLY if path.is_dir() or os.name != "nt" else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
