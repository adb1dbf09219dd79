"""What the store needs beside taking rows: a backup a day, old rows let go, the witness outside the home."""

from __future__ import annotations

import sqlite3
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol, assert_never

from msgspec import Struct

from actors.clock import Clock
from actors.logs import get_logger
from actors.messages import StoreMeta
from actors.worker import Address, Answer

from . import keys
from .backup import BackupRun
from .opening import CannotOpen
from .queries import BackedUp, BackupNow, KeepWitness, RestoreBackup, Restored
from .schema import instant, instant_text
from .store import Store
from .witness import Head, WitnessWriter

log = get_logger("riskd.persistence")

BACKUP_EVERY = timedelta(days=1)
BACKUP_RETRY_S = 3600.0
PRUNED_AT_ONCE = 500
"""Rows that go in one step: some milliseconds."""
WITNESS_RETRY_S = 5.0


class BackupEnded(Struct, frozen=True):
    """To the actor itself, from the copying thread."""

    path: str | None
    error: str | None


class WitnessWritten(Struct, frozen=True):
    """To the actor itself, from the writing thread; None: it was written."""

    error: str | None


class Keeper(Protocol):
    """The actor, as far as upkeep needs it."""

    @property
    def me(self) -> Address: ...
    def take(self, command: StoreMeta) -> None: ...
    def commit(self) -> str | None: ...
    def alert(self, level: str, message: str, why: str) -> None: ...
    def reply(self, value: object) -> None: ...
    def defer(self) -> Answer | None: ...


class Upkeep:
    """Runs in the persistence actor's thread; an incarnation has its own."""

    def __init__(self, keeper: Keeper, store: Store, clock: Clock) -> None:
        self._keeper, self._store, self._clock = keeper, store, clock
        self.last_backup = next(iter(store.backup_names()), None)
        self.witness_error: str | None = None
        self._backup_due = 0.0
        self._askers: list[Answer] = []
        self._pruning = False
        self._noted = ""
        self._note_again = 0.0

    def receive(
        self, message: BackupNow | BackupEnded | RestoreBackup | KeepWitness | WitnessWritten
    ) -> None:
        match message:
            case BackupNow():
                self._back_up(self._clock.wall(), self._keeper.defer())
            case BackupEnded():
                self._backup_ended(message)
            case RestoreBackup(name=name):
                self._keeper.reply(self._restore(name))
            case KeepWitness():
                self._keep_witness(message)
            case WitnessWritten(error=error):
                self._witness_written(error)
            case _:
                assert_never(message)

    def tick(self, now: datetime) -> None:
        """Do what is due; only while the store takes rows."""
        if self._pruning:
            self._pruning = self._store.prune(now, PRUNED_AT_ONCE) > 0
        if self._clock.mono() >= self._backup_due and self._backup_is_old(now):
            self._back_up(now, None)
        if self.witness_error is not None and self._clock.mono() >= self._note_again:
            self._note_head()

    # ---------------------------------------------------------------------------------- backups

    def _backup_is_old(self, now: datetime) -> bool:
        last = self._store.meta(keys.LAST_BACKUP)
        return last is None or now - instant(last.decode()) >= BACKUP_EVERY

    def _back_up(self, now: datetime, asker: Answer | None) -> None:
        self._keeper.commit()
        me = self._keeper.me
        if asker is not None:
            self._askers.append(asker)
        self._backup_due = self._clock.mono() + BACKUP_RETRY_S
        self._store.start_backup(now, lambda run: me.tell(_ended(run)))

    def _backup_ended(self, ended: BackupEnded) -> None:
        for asker in self._askers:
            asker.resolve(BackedUp(ended.path, ended.error))
        self._askers.clear()
        if ended.path is None:
            log.error("store.backup_failed", why=ended.error)
            self._keeper.alert("error", f"cannot back up the store: {ended.error}", ended.error or "")
            return
        log.info("store.backed_up", path=ended.path)
        self.last_backup = ended.path
        self._pruning = True
        self._keeper.take(StoreMeta(keys.LAST_BACKUP, instant_text(self._clock.wall()).encode()))
        # The head of the audit chain leaves the machine with this notice: a rewritten past would show.
        text = f"backup made: {ended.path}; audit head {self._store.audit_head()}"
        self._keeper.alert("info", text, ended.path)

    def _restore(self, name: str) -> Restored:
        error = self._keeper.commit()
        if error is not None:
            return Restored(False, error=error)
        try:
            opening = self._store.restore(name, self._clock.wall())
        except (CannotOpen, sqlite3.Error, OSError) as failed:
            log.error("store.not_restored", backup=name, why=str(failed))
            return Restored(False, error=str(failed))
        log.warning("store.restored", backup=name, set_aside=opening.set_aside)
        self._keeper.alert("warning", f"the store was restored from {name}", "")
        return Restored(True, opening.set_aside)

    # ---------------------------------------------------------------------------------- witness

    def committed(self) -> None:
        """Rows have become durable: the witness learns how far the chain has come."""
        witness = self._store.witness
        if witness is not None and self._store.audit_head() != self._noted:
            self._note_head()

    def _keep_witness(self, asked: KeepWitness) -> None:
        self._keeper.commit()
        me, path = self._keeper.me, Path(asked.path)
        witness = self._store.witness
        if witness is None or witness.path != path:
            witness = WitnessWriter(path, lambda error: me.tell(WitnessWritten(error)))
            self._store.witness = witness
        witness.names |= {asked.name}
        self._note_head()

    def _note_head(self) -> None:
        witness = self._store.witness
        if witness is not None:
            self._noted = self._store.audit_head()
            self._note_again = self._clock.mono() + WITNESS_RETRY_S
            witness.note(Head(self._store.id(), self._noted, self._clock.wall()))

    def _witness_written(self, error: str | None) -> None:
        was, self.witness_error = self.witness_error, error
        if error is not None and was is None:
            log.error("store.witness_behind", why=error)
            self._keeper.alert("error", f"{error}. A deleted home would not be noticed.", error)
        elif error is None and was is not None:
            self._keeper.alert("info", "the witness is written again", "")


def _ended(run: BackupRun) -> BackupEnded:
    return BackupEnded(None if run.path is None else run.path.name, run.error)
