"""The store: the one database connection of the program, and everything that is read and written through
it.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace
from sqlite_utils import Database

from actors.crash_points import crash_point
from actors.messages import AccountId, Lockout, StoreCommand
from config.errors import OperatorMustAct

from . import audit as chain
from . import history, keys, reading
from .backlog import Backlog
from .backup import BackupFailed, BackupRun, copy, listing
from .connecting import is_damage
from .opening import Opening, open_database, restore_named
from .queries import (
    AuditQuery,
    DayReport,
    HistoryQuery,
    Recovered,
    ReportQuery,
    StoredAlert,
    StoredContract,
    Why,
    WhyQuery,
)
from .rebuilding import set_aside
from .retention import prune
from .rows import Audited, Row, rows
from .witness import WitnessWriter


class NotWritable(OperatorMustAct):
    """The disk or the file does not take rows now; nothing of the batch was stored. Try again later."""

    def __init__(self, why: str, damaged: bool = False) -> None:
        super().__init__(why)
        self.damaged = damaged
        """The file itself is broken: waiting does not help, `Store.reopen` does."""


class Refused(Struct, frozen=True):
    """A command that no table takes, however often it is told."""

    command: StoreCommand
    why: str


# Errors that belong to one row, not to the file or the disk.
ROW_ERRORS = (
    sqlite3.IntegrityError,
    sqlite3.DataError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
    OverflowError,
    UnicodeEncodeError,
    TypeError,
    KeyError,
)


class Store:
    """The only opener of the database.

    A lock keeps it to one thread at a time: the persistence actor's, and before that one runs (or while an
    account is armed) the tree's. Only the copying of a backup runs beside.
    """

    def __init__(self, db: Database, path: Path, backups: Path, opening: Opening) -> None:
        self._db, self.path, self.backups, self.opening = db, path, backups, opening
        self._one = threading.RLock()
        self.backlog = Backlog()
        """Told and not durable yet; here, and not with the actor, so that no crash of that one loses it."""
        self.witness: WitnessWriter | None = None
        """Here for the same reason: a reborn actor goes on noting."""
        self._backup: BackupRun | None = None
        self._file = _identity(path)

    @classmethod
    def open(cls, path: Path, now: datetime, backups: Path | None = None) -> Store:
        """Open, migrate, or set aside and rebuild; `opening` tells which. Raises CannotOpen.

        `backups` is the folder of the copies, `backups` beside the file unless given.
        """
        folder = path.parent / "backups" if backups is None else backups
        db, opening = open_database(path, folder, now)
        return cls(db, path, folder, opening)

    def close(self) -> None:
        """Close for good; a backup that is under way is given up."""
        with self._one:
            self._give_up_backup()
            self._db.close()

    def reopen(self, now: datetime) -> Opening:
        """Close and open again, which sets a damaged file aside. Raises CannotOpen."""
        with self._one:
            self.close()
            self._db, self.opening = open_database(self.path, self.backups, now)
            self._file = _identity(self.path)
            return self.opening

    def moved(self) -> bool:
        """True when the path no longer leads to the file that is open: somebody moved or replaced it."""
        return _identity(self.path) != self._file

    def put_back(self, now: datetime) -> str | None:
        """Write everything to a file under our path again, after `moved`; returns the name another file got.

        Raises NotWritable when that fails; the old connection then goes on.
        """
        with self._one:
            try:
                copied = copy(self._db.conn, self.path.with_name(self.path.name + ".rebuilt"))
            except (sqlite3.Error, OSError, BackupFailed) as error:
                raise NotWritable(str(error)) from error
            self.close()
            aside = set_aside(self.path, now)
            crash_point("store.moved_aside")
            copied.replace(self.path)
            self.reopen(now)
            return aside

    def _give_up_backup(self) -> None:
        backup = self._backup
        if backup is not None:
            backup.cancel()

    # ---------------------------------------------------------------------------------- writing

    def apply(self, batch: Sequence[StoreCommand]) -> tuple[Refused, ...]:
        """Make all of it durable in one transaction, in order; told again after a crash it changes nothing.

        Returns the commands that can never be stored; the others are in.
        Raises NotWritable, and then none of them is.
        """
        try:
            with self._one:
                return self._transaction(batch)
        except sqlite3.DatabaseError as error:
            # A connection that is closed is one that could not be opened again.
            gone = isinstance(error, sqlite3.ProgrammingError)
            raise NotWritable(str(error), gone or is_damage(error)) from error

    def _transaction(self, batch: Sequence[StoreCommand]) -> tuple[Refused, ...]:
        refused = []
        with self._db.atomic():
            for command in batch:
                try:
                    with_rows = rows(command)
                    # A savepoint only where a failing second row would leave a first one behind.
                    self._write(with_rows) if len(with_rows) == 1 else self._write_together(with_rows)
                except ROW_ERRORS as error:
                    refused.append(Refused(command, f"{type(error).__name__}: {error}"))
            crash_point("store.committing")
        crash_point("store.committed")
        return tuple(refused)

    def _write(self, found: tuple[Row, ...]) -> None:
        for row in found:
            if isinstance(row, Audited):
                chain.append(self._db, row)
            else:
                self._db.conn.execute(row.sql, row.values)

    def _write_together(self, found: tuple[Row, ...]) -> None:
        with self._db.atomic():
            self._write(found)

    # ---------------------------------------------------------------------------------- reading

    def recover(self, account: AccountId, fills_since: datetime) -> Recovered:
        """Everything the account needs to go on."""
        with self._one:
            return reading.recovered(self._db, account, fills_since)

    def live_lockouts(self) -> tuple[Lockout, ...]:
        with self._one:
            return tuple(reading.live_lockouts(self._db))

    def meta(self, key: str) -> bytes | None:
        with self._one:
            return reading.meta(self._db, key)

    def contracts(self) -> tuple[StoredContract, ...]:
        with self._one:
            return tuple(reading.contracts(self._db))

    def alerts(self, limit: int = 500) -> tuple[StoredAlert, ...]:
        """The newest alerts, oldest first: what people were told, and what was on its way."""
        with self._one:
            return tuple(reading.alerts(self._db, limit))

    def history(self, query: HistoryQuery) -> tuple[dict[str, object], ...]:
        with self._one:
            return history.lines(self._db, query)

    def why(self, query: WhyQuery) -> Why | None:
        with self._one:
            return history.why(self._db, query)

    def report(self, query: ReportQuery) -> tuple[DayReport, ...]:
        with self._one:
            return history.days(self._db, query)

    def audit(self, query: AuditQuery) -> tuple[dict[str, object], ...]:
        with self._one:
            return history.audit(self._db, query)

    def verify_audit(self) -> chain.Chain:
        with self._one:
            return chain.verify(self._db)

    def audit_head(self) -> str:
        with self._one:
            return chain.head(self._db)

    # ---------------------------------------------------------------------------------- upkeep

    def id(self) -> str:
        """What tells this store from any other; a rebuilt or restored one keeps it."""
        found = self.meta(keys.STORE_ID)
        if found is None:
            raise KeyError(keys.STORE_ID)
        return found.decode()

    def knows(self, store: str, head: str) -> bool:
        """Whether it is this store that the witness saw, and it has come at least as far."""
        with self._one:
            return store == self.id() and chain.holds(self._db, head)

    def prune(self, now: datetime, most: int) -> int:
        """Let go of up to `most` rows older than they are kept; how many went."""
        with self._one:
            return prune(self._db, now, most)

    def start_backup(self, now: datetime, done: Callable[[BackupRun], None]) -> bool:
        """Begin a copy in a thread of its own; `done` is called there. False: one is still under way."""
        with self._one:
            if self._backup is not None:
                return False

            def finished(run: BackupRun) -> None:
                self._backup = None
                done(run)

            self._backup = BackupRun(self._db.conn, self.backups, now, chain.head(self._db))
            self._backup.start(finished)
            return True

    def restore(self, name: str, now: datetime) -> Opening:
        """Put the backup of that name in the place of the store. Raises CannotOpen: then nothing changed."""
        with self._one:
            self.close()
            try:
                restored = restore_named(self.path, self.backups, name, now)
            finally:
                self._db, self.opening = open_database(self.path, self.backups, now)
                self._file = _identity(self.path)
            self.opening = replace(restored, lockouts=self.opening.lockouts)
            return self.opening

    def backup_names(self) -> tuple[str, ...]:
        return tuple(path.name for path in listing(self.backups))


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino
