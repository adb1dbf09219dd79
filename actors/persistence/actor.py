"""The persistence actor: takes rows from everybody and makes them durable in groups.

Rows are held for a few milliseconds after the first one, so that the call that goes out at the same
moment has the processor to itself; then everything that has arrived is one transaction. What is not
durable yet stays with the store, which outlives this actor, and every command may be stored twice without
harm, so a crash loses nothing. A disk that fails is waited for: rows stay in memory, `status` says so, and
whoever asks for durability is told.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from datetime import datetime
from typing import ClassVar

from msgspec import Struct

from actors.board import Board
from actors.clock import Clock
from actors.logs import get_logger
from actors.messages import (
    Alert,
    EndLockout,
    Flush,
    Notice,
    Record,
    StoreCommand,
    StoreContract,
    StoreDay,
    StoreFill,
    StoreLockout,
    StoreMeta,
    StoreReceipt,
    StoreRuleState,
    Tick,
)
from actors.worker import Actor, Address

from .answers import answer
from .opening import CannotOpen
from .queries import (
    BackupNow,
    Flushed,
    KeepWitness,
    RestoreBackup,
    StoreView,
)
from .schema import instant_text
from .store import NotWritable, Store
from .upkeep import BackupEnded, Upkeep, WitnessWritten

log = get_logger("riskd.persistence")

LINGER_S = 0.003
"""After a fill, which comes at the moment at which a close may have to go out."""
GATHER_S = 0.001
"""After anything else: whoever sends it has waited already; what belongs to it joins the transaction."""
CHUNK = 500
"""Commands per transaction: some 20 ms, far below the deadline even on a slow disk."""
LIMIT = 50_000
"""Commands held while the disk fails."""
RETRY_S = (0.25, 0.5, 1.0, 2.0, 5.0)
REBUILD_EVERY_S = 60.0
"""A disk that damages every new file is not answered with a heap of set-aside files."""
SHOW_EVERY_S = 0.25


class Commit(Struct, frozen=True, gc=False):
    """To itself: everything told before this is to be made durable now."""


class PersistenceActor(Actor):
    """Owns the store for as long as the daemon runs. Never replaced beside its own living thread."""

    deadline_s: ClassVar[float] = 1.0

    def __init__(
        self,
        _kept: object,
        store: Store,
        clock: Clock,
        board: Board,
        notices: Address,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self._store, self._clock, self._board, self._notices = store, clock, board, notices
        self._wait = wait
        self._error: str | None = None
        self._failures = 0
        self._retry_at = 0.0
        self._rebuild_at = 0.0
        self._shown_at = 0.0
        self._stored = 0
        self._refused = 0
        self._last_commit_ms = 0.0
        self._upkeep = Upkeep(self, store, clock)

    def started(self) -> None:
        if self.epoch == 1:
            self._report_opening()
        if self._store.backlog.count:
            self._ask_for_commit()
        self._show()

    def stopping(self) -> None:
        self.commit()
        self._show()

    def receive(self, message: object) -> None:
        match message:
            case (
                Record()
                | StoreLockout()
                | EndLockout()
                | StoreFill()
                | StoreRuleState()
                | StoreDay()
                | StoreContract()
                | StoreReceipt()
                | StoreMeta()
            ):
                self.take(message)
            case Commit():
                self.commit()
            case Flush():
                error = self.commit()
                self.reply(Flushed(error is None, error))
            case Tick(now=now):
                self._tick(now.wall)
            case BackupNow() | BackupEnded() | RestoreBackup() | KeepWitness() | WitnessWritten():
                self._upkeep.receive(message)
            case _:
                self._answer(message)

    # ---------------------------------------------------------------------------------- rows

    def take(self, command: StoreCommand) -> None:
        first = self._store.backlog.count == 0
        if first:
            # First of all: a thread that wakes up and works now would delay the call going out.
            self._wait(LINGER_S if isinstance(command, StoreFill) else GATHER_S)
        self._store.backlog = self._store.backlog.add(command, self._clock.mono())
        if first:
            self._ask_for_commit()
        elif self._store.backlog.count > LIMIT:
            self._squeeze()

    def _ask_for_commit(self) -> None:
        # Behind whatever is queued by now, which therefore joins the same transaction.
        self.send(self.me, Commit())

    def commit(self) -> str | None:
        """Make the backlog durable; the reason when that is not possible now."""
        rest = self._store.backlog.commands()
        while rest:
            began = self._clock.mono()
            try:
                refused = self._store.apply(rest[:CHUNK])
            except NotWritable as error:
                self._failed(error)
                return self._error
            for one in refused:
                log.error("store.row_refused", command=repr(one.command)[:500], why=one.why)
            self._refused += len(refused)
            self._stored += len(rest[:CHUNK]) - len(refused)
            rest = rest[CHUNK:]
            self._store.backlog = self._store.backlog.left(rest)
            self._last_commit_ms = (self._clock.mono() - began) * 1000
        self._recovered()
        self._upkeep.committed()
        return None

    def _squeeze(self) -> None:
        before = self._store.backlog
        # Well below the limit, so that this is rare.
        self._store.backlog = before.squeezed(LIMIT * 3 // 4)
        log.error("store.backlog_squeezed", before=before.count, after=self._store.backlog.count)

    # ---------------------------------------------------------------------------------- failing disk

    def _failed(self, error: NotWritable) -> None:
        if error.damaged and self._clock.mono() >= self._rebuild_at and self._rebuilt():
            return
        if self._error is None:
            log.error("store.not_writable", why=str(error), path=str(self._store.path))
            self.alert(
                "critical", f"cannot store: {error}. Rows are kept in memory; check the disk.", str(error)
            )
        self._error = str(error)
        self._retry_at = self._clock.mono() + RETRY_S[min(self._failures, len(RETRY_S) - 1)]
        self._failures += 1
        self._show(at_once=True)

    def _recovered(self) -> None:
        if self._error is not None:
            log.info("store.writable_again", rows=self._stored)
            self.alert("info", "the store takes rows again; nothing is missing", "")
        was, self._error, self._failures = self._error, None, 0
        self._show(at_once=was is not None)

    def _rebuilt(self) -> bool:
        """A file found damaged while in use is set aside like one found at start."""
        self._rebuild_at = self._clock.mono() + REBUILD_EVERY_S
        try:
            self._store.reopen(self._clock.wall())
        except (CannotOpen, sqlite3.Error, OSError) as error:
            log.error("store.not_rebuilt", why=str(error))
            return False
        self._report_opening()
        self._error = "the file was damaged and has been rebuilt"
        self._ask_for_commit()
        return True

    def _report_opening(self) -> None:
        opening = self._store.opening
        if opening.state != "rebuilt":
            log.info(
                "store.opened", state=opening.state, lockouts=opening.lockouts, path=str(self._store.path)
            )
            return
        log.error("store.rebuilt", why=opening.why, set_aside=opening.set_aside, lockouts=opening.lockouts)
        lost = "" if opening.lockouts_complete else " Some may be missing."
        text = (
            f"the store was rebuilt: {opening.why}. {opening.lockouts} lockouts were kept.{lost} "
            f"The old file is {opening.set_aside or 'gone'}."
        )
        self.alert("critical", text, opening.why)

    # ---------------------------------------------------------------------------------- time

    def _tick(self, now: datetime) -> None:
        if self._store.moved():
            self._put_back(now)
        if self._store.backlog.count and self._clock.mono() >= self._retry_at:
            self.commit()
        if self._error is None:
            self._upkeep.tick(now)
        self._show()

    def _put_back(self, now: datetime) -> None:
        try:
            aside = self._store.put_back(now)
        except (NotWritable, CannotOpen) as error:
            log.error("store.not_put_back", why=str(error))
            return
        log.error("store.put_back", path=str(self._store.path), set_aside=aside)
        self.alert("critical", "the store's file was moved or replaced; it was written again in full", "")

    # ---------------------------------------------------------------------------------- answers

    def _answer(self, message: object) -> None:
        self.commit()
        try:
            self.reply(answer(self._store, message))
        except sqlite3.DatabaseError as error:
            asker = self.defer()
            if asker is not None:
                asker.fail(error)
            log.error("store.not_readable", why=str(error))

    # ---------------------------------------------------------------------------------- showing

    def _show(self, at_once: bool = False) -> None:
        mono = self._clock.mono()
        if not at_once and mono - self._shown_at < SHOW_EVERY_S:
            return
        self._shown_at = mono
        backlog, opening = self._store.backlog, self._store.opening
        view = StoreView(
            ok=self._error is None,
            path=str(self._store.path),
            late_s=mono - backlog.since if backlog.count else 0.0,
            backlog=backlog.count,
            rows=self._stored,
            last_commit_ms=self._last_commit_ms,
            error=self._error,
            refused=self._refused,
            dropped=backlog.dropped,
            last_backup=self._upkeep.last_backup,
            witness_error=self._upkeep.witness_error,
            opened=opening.state,
        )
        self._board.post(("store",), view)

    def alert(self, level: str, message: str, why: str) -> None:
        at = self._clock.wall()
        notice = Notice(
            level, "store", message, f"store/{level}/{instant_text(at)}", {"why": why} if why else {}
        )
        self.send(self._notices, Alert(at, "", notice))
