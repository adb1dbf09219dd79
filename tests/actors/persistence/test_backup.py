"""Backups: made while the store is written to, proven readable, seven kept."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from actors.messages import StoreLockout, StoreMeta
from actors.persistence import backup
from actors.persistence.backup import BackupRun
from actors.persistence.opening import CannotOpen
from actors.persistence.queries import HistoryQuery
from actors.persistence.store import Store
from tests.actors.persistence.samples import (
    NAME,
    NOW,
    admin_line,
    alert_line,
    end,
    lockout,
    one_of_each,
    reset_line,
)

PATIENCE_S = 10.0


def finished(store: Store) -> BackupRun:
    runs: list[BackupRun] = []
    ended = threading.Event()
    assert store.start_backup(NOW, lambda run: (runs.append(run), ended.set())[0])
    assert ended.wait(PATIENCE_S)
    return runs[0]


def test_a_backup_is_a_store_of_its_own_named_by_time_and_audit_head(store: Store, tmp_path: Path) -> None:
    store.apply(one_of_each())

    run = finished(store)

    assert run.error is None
    assert run.path is not None
    assert run.path.name == f"riskd-20260302T153000Z-{store.audit_head()[:8]}.db"
    copy = tmp_path / "copy.db"
    copy.write_bytes(run.path.read_bytes())
    opened = Store.open(copy, NOW, tmp_path / "elsewhere")
    assert opened.opening.state == "good"
    assert opened.live_lockouts() == store.live_lockouts()
    opened.close()


def test_commits_go_on_while_a_backup_is_made_and_the_backup_is_whole(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backup, "PAGES_PER_STEP", 4)
    store.apply([alert_line(number) for number in range(600)])
    runs: list[BackupRun] = []
    ended = threading.Event()

    store.start_backup(NOW, lambda run: (runs.append(run), ended.set())[0])
    commits = 0
    while not ended.is_set() and commits < 300:
        store.apply([alert_line(10_000 + commits)])
        commits += 1

    assert ended.wait(PATIENCE_S)
    assert commits > 5
    assert runs[0].error is None
    assert runs[0].path is not None
    with closing(sqlite3.connect(runs[0].path)) as copied:
        assert backup.damage(copied) is None
        assert copied.execute("SELECT count(*) FROM history").fetchone()[0] >= 600


def test_one_backup_at_a_time(store: Store) -> None:
    ended = threading.Event()

    assert store.start_backup(NOW, lambda _run: ended.set())
    second = store.start_backup(NOW, lambda _run: None)

    assert not second or ended.is_set()
    assert ended.wait(PATIENCE_S)


def test_closing_gives_up_a_backup_under_way_and_leaves_nothing_of_it(path: Path) -> None:
    store = Store.open(path, NOW)
    store.apply([alert_line(number) for number in range(20_000)])
    runs: list[BackupRun] = []

    store.start_backup(NOW, runs.append)
    store.close()

    assert runs[0].path is None
    assert runs[0].error == "given up because the store is closing"
    assert list((path.parent / "backups").iterdir()) == []


def test_the_newest_seven_are_kept(store: Store) -> None:
    for day in range(9):
        store.apply([admin_line(day)])
        name = backup.name(NOW + timedelta(days=day), store.audit_head())
        backup.copy(store._db.conn, store.backups / name)
    finished(store)

    names = store.backup_names()
    assert len(names) == 7
    assert [name[6:14] for name in names] == [f"202603{day:02}" for day in (10, 9, 8, 7, 6, 5, 4)]


def test_a_folder_that_takes_no_files_is_an_error_and_not_a_crash(store: Store, tmp_path: Path) -> None:
    (tmp_path / "backups").write_text("in the way")

    assert finished(store).error is not None


# ---------------------------------------------------------------------------------- restoring


def backup_of(store: Store) -> str:
    run = finished(store)
    assert run.path is not None
    return run.path.name


def test_restoring_brings_back_past_rows_and_keeps_what_protects_now(store: Store) -> None:
    store.apply([alert_line(1), StoreLockout(lockout("ended since")), StoreMeta("configuration", b"lax")])
    store.apply([admin_line(1)])
    saved = backup_of(store)
    store.apply(
        [
            alert_line(2),
            StoreLockout(lockout("set since")),
            end("ended since"),
            StoreMeta("configuration", b"strict"),
            reset_line(),
            admin_line(2),
        ]
    )
    head = store.audit_head()

    opening = store.restore(saved, NOW)

    assert (opening.state, opening.lockouts) == ("restored", 1)
    lines = [each["id"] for each in store.history(HistoryQuery())]
    assert f"alert/{NAME}/1" in lines
    assert f"alert/{NAME}/2" not in lines
    assert [held.rule for held in store.live_lockouts()] == ["set since"]
    assert store.meta("configuration") == b"strict"
    assert (store.audit_head(), store.verify_audit().broken_at) == (head, None)
    assert store._db.execute("SELECT count(*) FROM resets").fetchone() == (1,)
    assert opening.set_aside is not None
    assert (store.path.parent / opening.set_aside).exists()


def test_a_damaged_backup_is_refused_and_the_store_goes_on(store: Store) -> None:
    store.apply([alert_line(1)])
    saved = backup_of(store)
    (store.backups / saved).write_bytes(b"not a database" * 1_000)

    with pytest.raises(CannotOpen, match="cannot restore"):
        store.restore(saved, NOW)

    assert store.apply([alert_line(2)]) == ()
    assert len(store.history(HistoryQuery())) == 2


@pytest.mark.parametrize("name", ["nothing.db", "../riskd.db", "/etc/passwd"])
def test_only_a_listed_backup_can_be_restored(store: Store, name: str) -> None:
    with pytest.raises(CannotOpen, match="no such backup"):
        store.restore(name, NOW)
