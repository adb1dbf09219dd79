"""The tables: what every earlier version wrote can be opened, and money is never a float."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from sqlite_utils import Database, Migrations

from actors.messages import HistoryKind
from actors.persistence import schema
from actors.persistence.opening import CannotOpen, NewerStore
from actors.persistence.queries import HistoryQuery
from actors.persistence.schema import instant, instant_text
from actors.persistence.store import Store
from tests.actors.persistence.samples import NOW, RULE, A, lockout, one_of_each

HERE = Path(__file__).parent


def from_text(name: str) -> Callable[[Path], None]:
    def build(path: Path) -> None:
        with closing(sqlite3.connect(path)) as db:
            db.executescript((HERE / name).read_text())

    return build


# One builder per version: the file as that version left it. Builders are never edited, only added.
VERSIONS = {
    "0001_first_tables": from_text("version_0001.sql"),
    "0002_quick_answers": from_text("version_0002.sql"),
}


def shape(path: Path) -> list[tuple[str, ...]]:
    with closing(sqlite3.connect(path)) as db:
        found = db.execute("SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL")
        rows = [(kind, name, " ".join(sql.split())) for kind, name, sql in found]
    return sorted(row for row in rows if "_sqlite_migrations" not in row[1])


def files(folder: Path) -> dict[str, bytes]:
    return {found.name: found.read_bytes() for found in folder.iterdir() if found.is_file()}


def add_migration(monkeypatch: pytest.MonkeyPatch, step: Callable[[Database], object]) -> None:
    """Let the program be one version ahead."""
    tomorrow = Migrations("riskd")
    tomorrow(name="9999_tomorrow")(step)
    ahead = [*schema.migrations._migrations, *tomorrow._migrations]
    monkeypatch.setattr(schema.migrations, "_migrations", ahead)


def test_every_version_has_a_builder(store: Store) -> None:
    applied = [name for (name,) in store._db.execute("SELECT name FROM _sqlite_migrations")]

    assert applied == list(VERSIONS)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_store_of_an_earlier_version_gets_the_shape_of_a_new_one(version: str, tmp_path: Path) -> None:
    new, old = tmp_path / "new.db", tmp_path / "old.db"
    Store.open(new, NOW).close()
    VERSIONS[version](old)

    Store.open(old, NOW).close()

    assert shape(old) == shape(new)


@pytest.mark.parametrize("version", VERSIONS)
def test_what_an_earlier_version_kept_is_still_there(version: str, path: Path) -> None:
    VERSIONS[version](path)

    store = Store.open(path, NOW)

    assert [held.rule for held in store.live_lockouts()] == [RULE]
    assert store.recover(A, NOW).fills[0].fill.price == 21_000.25
    assert store.verify_audit().entries == 1
    assert store.verify_audit().broken_at is None
    store.close()


def test_a_lockouts_own_kind_is_read_from_lines_that_hid_it_behind_theirs(path: Path) -> None:
    VERSIONS["0001_first_tables"](path)
    body = {"rule": RULE, "kind": "until_reset", "reason": "x"}
    with closing(sqlite3.connect(path)) as db, db:
        line = ("lockout/N/1", "2026-03-02T15:30:00.250000Z", "lockout", "N", json.dumps(body))
        db.execute("INSERT INTO history (id, at, kind, account, body) VALUES (?, ?, ?, ?, ?)", line)

    store = Store.open(path, NOW)

    (told,) = store.history(HistoryQuery(HistoryKind.LOCKOUT, account="N"))
    assert (told["kind"], told["lockout_kind"]) == ("lockout", "until_reset")
    store.close()


@pytest.mark.parametrize("version", VERSIONS)
def test_a_pending_migration_is_preceded_by_a_backup(
    version: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    VERSIONS[version](path)
    add_migration(monkeypatch, lambda db: db.execute("ALTER TABLE days ADD COLUMN note TEXT"))

    store = Store.open(path, NOW)

    assert store.opening.state == "migrated"
    (saved,) = store.backup_names()
    before = {name: sql for _, name, sql in shape(store.backups / saved)}
    assert "note" not in before["days"]
    assert "note" in {name: sql for _, name, sql in shape(path)}["days"]
    store.close()


def test_a_failing_migration_leaves_the_store_as_it_was(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Store.open(path, NOW).close()
    before = shape(path)

    def broken(db: Database) -> None:
        db.execute("ALTER TABLE days ADD COLUMN note TEXT")
        db.execute("CREATE INDEX x ON nowhere (y)")

    add_migration(monkeypatch, broken)
    with pytest.raises(CannotOpen, match="cannot migrate the store"):
        Store.open(path, NOW)

    assert shape(path) == before


def test_a_migration_without_room_for_its_backup_does_not_begin(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Store.open(path, NOW).close()
    before = shape(path)
    add_migration(monkeypatch, lambda db: db.execute("DROP TABLE days"))
    (path.parent / "backups").write_text("a file where the folder should be")

    with pytest.raises(CannotOpen, match="cannot migrate the store"):
        Store.open(path, NOW)

    assert shape(path) == before


def test_a_newer_store_is_refused_and_not_touched(path: Path) -> None:
    Store.open(path, NOW).close()
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("INSERT INTO _sqlite_migrations (migration_set, name) VALUES ('riskd', '9999_tomorrow')")
    before = files(path.parent)

    with pytest.raises(NewerStore, match="a newer riskd wrote it"):
        Store.open(path, NOW)

    assert files(path.parent) == before


def test_no_column_can_hold_a_float(store: Store) -> None:
    tables = [name for (name,) in store._db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    columns = "SELECT type FROM pragma_table_info(?)"
    kinds = {
        kind
        for name in tables
        if not name.startswith(("_", "sqlite_"))
        for (kind,) in store._db.execute(columns, (name,))
    }

    assert kinds == {"INTEGER", "TEXT", "BLOB"}
    with pytest.raises(sqlite3.IntegrityError):
        store._db.execute("INSERT INTO days VALUES (1, '2026-03-02', 'x', 0.5, 1)")


def test_instants_sort_as_they_read() -> None:
    texts = [instant_text(at) for at in (NOW.replace(microsecond=0), NOW, NOW.replace(second=59))]

    assert texts == sorted(texts)
    assert [instant(text) for text in texts][1] == NOW


def test_the_settings_that_make_a_commit_durable_are_on(store: Store) -> None:
    names = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout", "temp_store")
    on = {name: store._db.execute(f"PRAGMA {name}").fetchone()[0] for name in names}

    assert on == {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "busy_timeout": 5000,
        "temp_store": 2,
    }
    assert store.apply(one_of_each()) == ()
    assert store.live_lockouts() == (lockout(),)
