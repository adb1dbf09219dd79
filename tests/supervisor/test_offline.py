"""Reading what is recorded where no daemon runs: the same answers, under the home's lock."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import filelock
import msgspec
import pytest

from actors.clock import ManualClock
from actors.messages import (
    AccountId,
    HistoryKind,
    LockKind,
    Lockout,
    Record,
    StoreCommand,
    StoreLockout,
    StoreMeta,
)
from actors.persistence import keys
from actors.persistence.store import Store
from config.canonical import canonical
from config.checks import settings_from
from supervisor.home import Home
from supervisor.offline import ANSWERS, RESTORE, replied
from supervisor.protocol import COMMANDS, Access, AskHistory, DoRestore, Exit, Nothing, ask
from supervisor.records import HANDLERS
from supervisor.roles import AdminSecret

AT = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
WAITING = {
    "version": 1,
    "gateway": {"kind": "simulator"},
    "accounts": "all",
    "tamper": {"loosen_after": "1h"},
}
SECRET = "correct horse battery staple"


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """A home that has guarded: one alert and one admin command are recorded."""
    made = Home(tmp_path)
    made.make()
    store = Store.open(made.database, AT, made.backups)
    body: dict[str, object] = {"level": "info", "message": "hello"}
    admin: dict[str, object] = {
        "command": "reload",
        "role": "admin",
        "by": "me",
        "outcome": "done",
        "exit": 0,
    }
    store.apply(
        [
            Record("alert//1", HistoryKind.ALERT, AT, "A", body),
            Record("admin//1", HistoryKind.ADMIN, AT, "", admin),
        ]
    )
    store.close()
    yield made


def told(home: Home, command: str, request: msgspec.Struct | None = None, secret: str | None = None) -> Any:
    """The answer, or the exit code of the refusal."""
    message = ask(request or Nothing(), command, "id", 5.0, secret)
    reply = replied(home, ManualClock(AT), message)
    return msgspec.msgpack.decode(reply.body) if reply.exit == 0 else Exit(reply.exit)


def test_history_is_read_by_kind_and_account(home: Home) -> None:
    lines = told(home, "history", AskHistory(kind="alert", account="A"))["history"]

    assert [(line["kind"], line["message"]) for line in lines] == [("alert", "hello")]
    assert told(home, "history", AskHistory(account="B"))["history"] == []


def test_audit_chain_is_shown_and_verified(home: Home) -> None:
    assert [entry["command"] for entry in told(home, "audit.show", AskHistory())["audit"]] == ["reload"]
    assert told(home, "audit.verify")["broken_at"] is None


def test_backup_is_made_listed_and_audited(home: Home) -> None:
    made = Path(told(home, "backup.now")["path"])

    assert made.exists()
    assert told(home, "backup.list")["backups"] == [made.name]
    assert told(home, "audit.show", AskHistory())["audit"][-1]["command"] == "backup.now"


def lockout(rule: str) -> Lockout:
    return Lockout(AccountId(1), rule, LockKind.MANUAL, AT, None, "enough", True, None, None)


def changed(home: Home, *commands: StoreCommand) -> None:
    store = Store.open(home.database, AT, home.backups)
    store.apply(commands)
    store.close()


def broken(home: Home) -> None:
    with home.database.open("r+b") as file:
        file.write(b"\xff" * 64)


def newer(home: Home) -> None:
    with closing(sqlite3.connect(home.database)) as db, db:
        db.execute("INSERT INTO _sqlite_migrations (migration_set, name) VALUES ('riskd', '9999_tomorrow')")
        db.execute("ALTER TABLE lockouts ADD COLUMN mood TEXT")


def gone(home: Home) -> None:
    home.database.unlink()


@pytest.mark.parametrize("state", [None, broken, newer, gone])
def test_backup_is_restored_whatever_state_the_store_is_in(
    home: Home, state: Callable[[Home], None] | None
) -> None:
    changed(home, StoreLockout(lockout("before")))
    made = Path(told(home, "backup.now")["path"]).name
    changed(home, StoreLockout(lockout("after")), Record("alert//2", HistoryKind.ALERT, AT, "A", {}))
    if state is not None:
        state(home)

    answer = told(home, RESTORE, DoRestore(made))

    assert "is restored" in answer["text"]
    assert [line["id"] for line in told(home, "history", AskHistory(kind="alert"))["history"]] == ["alert//1"]
    store = Store.open(home.database, AT, home.backups)
    kept = {one.rule for one in store.live_lockouts()}
    store.close()
    assert "before" in kept
    assert ("after" in kept) is (state in (None, newer)), "kept wherever it could be read"
    assert told(home, "audit.show", AskHistory())["audit"][-1]["command"] == RESTORE


def test_backup_of_another_name_is_refused(home: Home) -> None:
    assert told(home, RESTORE, DoRestore("../riskd.db")) is Exit.FAILED


def test_restore_waits_where_loosening_waits(home: Home) -> None:
    made = Path(told(home, "backup.now")["path"]).name
    settings = settings_from(WAITING)
    changed(home, StoreMeta(keys.CONFIGURATION, canonical(settings)))

    assert told(home, RESTORE, DoRestore(made)) is Exit.COOLING_OFF


def test_admin_secret_is_asked_for_as_by_the_daemon(home: Home) -> None:
    AdminSecret(home.admin_secret).set(SECRET)

    assert told(home, "backup.now") is Exit.NOT_PERMITTED
    assert told(home, "backup.now", secret="wrong") is Exit.NOT_PERMITTED
    assert "path" in told(home, "backup.now", secret=SECRET)
    assert told(home, "history", AskHistory())["history"]


def test_home_that_somebody_holds_is_not_read(home: Home) -> None:
    with filelock.FileLock(home.lock):
        assert told(home, "history", AskHistory()) is Exit.FAILED


def test_damaged_store_is_left_as_it_is(home: Home) -> None:
    home.database.write_bytes(b"SQLite format 3\0" + b"x" * 8192)
    before = sorted(home.folder.iterdir())

    assert told(home, "history", AskHistory()) is Exit.FAILED
    assert sorted(path for path in home.folder.iterdir() if path != home.lock) == before


def test_home_without_a_store_and_commands_that_need_a_daemon_say_so(tmp_path: Path) -> None:
    empty = Home(tmp_path)
    empty.make()

    assert told(empty, "history", AskHistory()) is Exit.FAILED
    assert not empty.database.exists()
    assert told(empty, "status") is Exit.NOT_RUNNING


def test_only_commands_that_the_daemon_answers_too_are_answered() -> None:
    from ops.offline import COMMANDS as POSSIBLE

    assert {*ANSWERS, RESTORE} == POSSIBLE <= set(COMMANDS)
    assert not set(ANSWERS) & set(HANDLERS.missing())
    assert {COMMANDS[name].access for name in ANSWERS} <= {Access.VIEWER, Access.ADMIN}
