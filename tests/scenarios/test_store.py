"""A home that was lost, put back from a copy, or damaged: losing a file unlocks no account."""

from __future__ import annotations

import shutil
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

import pytest

from supervisor.life import REPLACE_ME
from supervisor.protocol import DoRestore, DoUnlock, Nothing
from tests.scenarios.desk import A, Desk, chicago, desk

LOSS = {"daily_realized_loss": {"mode": "armed", "limit": -500}}
RESET = chicago(2026, 3, 4, 17)
PAGE = 4096


def lose(home: Path) -> None:
    for name in ("riskd.db", "journal", "backups"):
        path = home / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def damage(home: Path, table: str) -> None:
    path = home / "riskd.db"
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (root,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()
    with path.open("r+b") as file:
        file.seek((root - 1) * PAGE)
        file.write(b"\xff" * PAGE)


def again(at: Desk, meanwhile: Callable[[Path], object]) -> None:
    at.stop()
    meanwhile(at.folder)
    at.start()


def lose_the_day(at: Desk) -> None:
    at.book(-600.0)
    at.locked("daily_realized_loss")


def test_a_home_that_was_deleted_starts_locked_until_the_next_reset(tmp_path: Path) -> None:
    with desk(LOSS, tamper={"witness": str(tmp_path / "witness")}) as at:
        again(at, lose)

        lockout = at.locked("store")["store"]

        assert (lockout["kind"], lockout["until"]) == ("until_reset", RESET)
        assert "the home was lost" in lockout["reason"]
        told = [line["message"] for line in at.history("alert", A)]
        assert any("locked by store" in message for message in told)
        at.advance_to(RESET)
        at.locked()


def test_an_older_copy_of_the_home_starts_locked(tmp_path: Path) -> None:
    with desk(LOSS, tamper={"witness": str(tmp_path / "witness")}) as at:
        copy = tmp_path / "copy"
        again(at, lambda home: shutil.copytree(home, copy))
        lose_the_day(at)

        def put_back(home: Path) -> None:
            shutil.rmtree(home)
            shutil.copytree(copy, home)

        again(at, put_back)

        assert set(at.lockouts()) >= {"store"}


def test_a_home_that_only_restarted_is_not_in_doubt(tmp_path: Path) -> None:
    with desk(LOSS, tamper={"witness": str(tmp_path / "witness")}) as at:
        lose_the_day(at)

        again(at, lambda home: None)

        at.locked("daily_realized_loss")


def test_a_lock_for_a_lost_home_that_an_admin_lifts_stays_lifted(tmp_path: Path) -> None:
    with desk(LOSS, tamper={"witness": str(tmp_path / "witness")}) as at:
        again(at, lose)
        at.locked("store")
        at.ask("unlock", DoUnlock(A, "store"))
        at.locked()

        again(at, lambda home: None)

        at.locked()


def test_a_witness_that_is_gone_is_written_again_and_locks_nobody(tmp_path: Path) -> None:
    witness = tmp_path / "witness"
    with desk(LOSS, tamper={"witness": str(witness)}) as at:
        at.until(witness.exists, "the witness is written")
        again(at, lambda home: witness.unlink())

        at.until(witness.exists, "the witness is written again")
        at.locked()


def test_a_witness_that_cannot_be_written_is_said_and_guards_on(tmp_path: Path) -> None:
    with desk(LOSS, tamper={"witness": str(tmp_path / "not" / "there")}) as at:
        at.in_time(lambda: any(r["code"] == "witness" for r in at.status()["reasons"]), "it is said")
        lose_the_day(at)


def test_lockouts_that_cannot_be_read_leave_the_account_locked() -> None:
    def lockouts_unreadable(home: Path) -> None:
        damage(home, "lockouts")
        shutil.rmtree(home / "backups")
        shutil.rmtree(home / "journal")

    with desk(LOSS) as at:
        again(at, lockouts_unreadable)

        lockout = at.locked("store")["store"]
        assert "could not all be read" in lockout["reason"]
        again(at, lambda home: None)
        assert at.locked("store")["store"]["until"] == RESET


def test_a_restored_backup_brings_back_the_past_and_keeps_what_locks() -> None:
    with desk(LOSS) as at:
        made = at.ask("backup.now", Nothing())["path"]
        lose_the_day(at)

        told = at.ask("backup.restore", DoRestore(made))

        assert made in told["text"]
        at.until(lambda: at.ended, "the daemon asks to be replaced")
        assert at.ending is not None
        assert at.ending.exit == REPLACE_ME
        at.start()
        at.locked("daily_realized_loss")
        at.day("-600.00")


@contextmanager
def full_disk(at: Desk) -> Iterator[None]:
    """No file of this process grows any more: what a full disk does, to one process alone."""
    resource = pytest.importorskip("resource", reason="no limit on file sizes")
    del at
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


@contextmanager
def read_only(at: Desk) -> Iterator[None]:
    """The store refuses every row, as on a file system that became read-only."""
    connection = at.guard.store._db.conn
    connection.execute("PRAGMA query_only=ON")
    try:
        yield
    finally:
        connection.execute("PRAGMA query_only=OFF")


@pytest.mark.parametrize("trouble", [full_disk, read_only])
def test_a_disk_that_takes_nothing_is_said_and_the_account_is_protected_from_memory(
    trouble: Callable[[Desk], AbstractContextManager[None]],
) -> None:
    with desk(LOSS) as at:
        at.buy("MNQ", 2)
        at.holds(MNQ=2)
        with trouble(at):
            at.price("MNQ", 20_700.0)
            at.flat()
            at.locked("daily_realized_loss")
            at.in_time(lambda: store_reason(at), "it is said")
        at.in_time(lambda: not store_reason(at), "it is over")

        assert [line["rule"] for line in at.history("lockout")] == ["daily_realized_loss"]
        assert at.history("breach", A)
        again(at, lambda home: None)
        at.locked("daily_realized_loss")


def test_what_passed_while_nobody_guarded_is_caught_up_with_at_the_start() -> None:
    """A cooldown ran out, and a fill was missed: each is told once."""
    with desk({"cooldown_after_loss": {"tiers": [{"loss": -100, "cooldown": "5m"}]}}) as at:
        at.book(-150)
        at.locked("cooldown_after_loss")
        at.stop()
        at.advance(400)
        at.buy("MNQ", 1)
        at.advance(200)
        at.start()

        at.locked()
        assert [line["reason"] for line in at.history("unlock")] == ["expired"]
        at.holds(MNQ=1)
        assert at.status(A)["trades"] == 3
        told = [line["trade"] for line in at.history("fill")]
        assert len(told) == len(set(told)) == 3


def store_reason(at: Desk) -> bool:
    return any(reason["code"] == "store" for reason in at.status()["reasons"])


@pytest.mark.parametrize("table", ["history", "fills"])
def test_S88_a_damaged_store_is_kept_rebuilt_and_read_again_from_the_broker(table: str) -> None:
    with desk(LOSS) as at:
        lose_the_day(at)

        again(at, lambda home: damage(home, table))

        at.locked("daily_realized_loss")
        at.day("-600.00")
        assert list(at.folder.glob("riskd.db.damaged-*"))
        assert any("the store was rebuilt" in line["message"] for line in at.history("alert"))
