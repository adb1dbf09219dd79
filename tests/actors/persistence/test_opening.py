"""Whatever is found in the place of the database, the guard starts, and no damage unlocks an account."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from actors.messages import StoreLockout
from actors.persistence import backup, opening
from actors.persistence.opening import CannotOpen
from actors.persistence.queries import HistoryQuery
from actors.persistence.store import Store
from tests.actors.persistence.samples import NOW, RULE, alert_line, end, lockout, one_of_each

PAGE = 4096
LATER = NOW + timedelta(hours=1)


def filled(path: Path) -> None:
    """A store with a lockout in force, one that ended, and enough history for many pages."""
    store = Store.open(path, NOW)
    store.apply([*one_of_each(), StoreLockout(lockout("cooldown_after_loss")), end("cooldown_after_loss")])
    store.apply([alert_line(number) for number in range(600)])
    store.close()


def backed_up(path: Path) -> None:
    filled(path)
    with closing(sqlite3.connect(path)) as db:
        backup.copy(db, path.parent / "backups" / backup.name(NOW, "0" * 8))


def root_page(path: Path, table: str) -> int:
    with closing(sqlite3.connect(path)) as db:
        return int(db.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()[0])


def overwrite(path: Path, offset: int, length: int) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(b"\xff" * length)


def no_database(path: Path) -> None:
    path.write_bytes(b"this is no database" * 500)


def cut_in_half(path: Path) -> None:
    os.truncate(path, path.stat().st_size // PAGE // 2 * PAGE)


def torn_header(path: Path) -> None:
    overwrite(path, 0, 64)


def broken_history(path: Path) -> None:
    overwrite(path, (root_page(path, "history") - 1) * PAGE, PAGE)


def broken_lockouts(path: Path) -> None:
    overwrite(path, (root_page(path, "lockouts") - 1) * PAGE, PAGE)


def dropped_table(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("DROP TABLE lockouts")


def gone(path: Path) -> None:
    path.unlink()


def emptied(path: Path) -> None:
    path.write_bytes(b"")


ANY_DAMAGE = [
    no_database,
    cut_in_half,
    torn_header,
    broken_history,
    broken_lockouts,
    dropped_table,
    gone,
    emptied,
]


@pytest.mark.parametrize("damage", ANY_DAMAGE)
def test_with_a_backup_no_damage_loses_a_lockout(damage: Callable[[Path], None], path: Path) -> None:
    backed_up(path)
    damage(path)

    store = Store.open(path, LATER)

    assert store.opening.state == "rebuilt"
    assert store.opening.why
    assert [held.rule for held in store.live_lockouts()] == [RULE]
    assert store.opening.lockouts == 1
    store.apply([alert_line(9_999)])
    store.close()
    assert Store.open(path, LATER).opening.state == "good"


@pytest.mark.parametrize("damage", [no_database, cut_in_half, torn_header, broken_history, dropped_table])
def test_the_damaged_file_is_set_aside_and_never_deleted(damage: Callable[[Path], None], path: Path) -> None:
    filled(path)
    damage(path)
    spoilt = path.read_bytes()

    store = Store.open(path, LATER)

    assert store.opening.set_aside == "riskd.db.damaged-20260302T163000Z"
    assert (path.parent / store.opening.set_aside).read_bytes() == spoilt
    store.close()


def test_damage_elsewhere_leaves_the_lockouts_and_says_that_they_are_complete(path: Path) -> None:
    filled(path)
    broken_history(path)

    store = Store.open(path, LATER)

    assert store.opening.lockouts_complete
    assert [held.rule for held in store.live_lockouts()] == [RULE]
    assert store.verify_audit().entries == 2
    store.close()


@pytest.mark.parametrize(
    ("damage", "checked", "state"),
    [
        (broken_lockouts, timedelta(hours=1), "rebuilt"),
        (broken_history, timedelta(hours=1), "good"),
        (broken_history, timedelta(days=3), "rebuilt"),
    ],
)
def test_of_a_large_file_that_was_checked_lately_only_what_guards_is_checked_at_start(
    damage: Callable[[Path], None],
    checked: timedelta,
    state: str,
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(opening, "CHECKED_WHOLE", 0)
    backed_up(path)
    damage(path)

    store = Store.open(path, NOW + checked)

    assert store.opening.state == state
    assert RULE in {held.rule for held in store.live_lockouts()}
    store.close()


def test_lockouts_that_cannot_be_read_are_said_to_be_missing(path: Path) -> None:
    filled(path)
    no_database(path)

    store = Store.open(path, LATER)

    assert not store.opening.lockouts_complete
    store.close()


def test_a_lockout_that_ended_does_not_come_back_from_a_backup_of_a_readable_table(path: Path) -> None:
    backed_up(path)
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE lockouts SET ended_at = '2026-03-02T16:00:00.000000Z', ended_by = 'admin'")
    broken_history(path)

    store = Store.open(path, LATER)

    assert store.live_lockouts() == ()
    store.close()


def test_history_before_and_after_the_damage_is_kept(path: Path) -> None:
    filled(path)
    with closing(sqlite3.connect(path)) as db:
        pages = "SELECT pageno FROM dbstat WHERE name = 'history' AND pagetype = 'leaf' ORDER BY path"
        try:
            leaves = [number for (number,) in db.execute(pages)]
        except sqlite3.OperationalError:
            pytest.skip("this SQLite cannot list its pages")
    overwrite(path, (leaves[len(leaves) // 2] - 1) * PAGE, PAGE)

    store = Store.open(path, LATER)

    kept = [found["id"] for found in store.history(HistoryQuery(limit=10_000))]
    assert any(str(found).endswith("/0") for found in kept)
    assert any(str(found).endswith("/599") for found in kept)
    assert len(kept) > 500
    store.close()


def test_two_damaged_files_in_one_second_are_both_kept(path: Path) -> None:
    for _ in range(2):
        no_database(path)
        Store.open(path, LATER).close()

    assert len(list(path.parent.glob("riskd.db.damaged-*Z"))) == 1
    assert len(list(path.parent.glob("riskd.db.damaged-*Z-2"))) == 1


@pytest.mark.parametrize("step", ["built", "set aside"])
def test_a_rebuild_that_a_crash_interrupts_is_finished_by_the_next_start(
    step: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(path)
    broken_history(path)

    class Crash(BaseException):
        pass

    def crash(*_: object) -> None:
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(opening, "set_aside" if step == "built" else "finish_rebuild", crash)
        if step == "set aside":
            # The first call belongs to opening, the second ends the rebuild.
            real, calls = opening.set_aside, []
            patch.setattr(opening, "finish_rebuild", lambda path: crash() if calls else None)
            patch.setattr(opening, "set_aside", lambda path, now: (real(path, now), calls.append(1))[0])
        with pytest.raises(Crash):
            Store.open(path, LATER)

    store = Store.open(path, LATER)

    assert [held.rule for held in store.live_lockouts()] == [RULE]
    store.close()
    assert not list(path.parent.glob("*.rebuilt"))


def test_a_rebuilt_file_left_beside_a_good_one_is_never_used(path: Path) -> None:
    Store.open(path, NOW).close()
    leftover = path.with_name("riskd.db.rebuilt")
    filled(path.with_name("other.db"))
    path.with_name("other.db").rename(leftover)

    store = Store.open(path, LATER)

    assert store.live_lockouts() == ()
    assert not leftover.exists()
    store.close()


def test_a_log_left_beside_a_missing_file_never_meets_the_new_one(path: Path) -> None:
    backed_up(path)
    store = Store.open(path, NOW)
    store.apply([alert_line(1)])
    log = path.with_name("riskd.db-wal").read_bytes()
    store.close()
    path.unlink()
    path.with_name("riskd.db-wal").write_bytes(log)

    store = Store.open(path, LATER)

    assert store.opening.state == "rebuilt"
    assert path.with_name("riskd.db.damaged-20260302T163000Z-wal").read_bytes() == log
    store.close()


def test_a_foreign_database_is_set_aside(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("CREATE TABLE history (x)")

    store = Store.open(path, LATER)

    assert store.opening.why == "riskd did not write this file"
    store.close()


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="needs a user whom permissions bind")
def test_a_file_that_may_not_be_read_is_not_taken_for_damage(path: Path) -> None:
    filled(path)
    path.chmod(0)

    with pytest.raises(CannotOpen, match="Check its owner"):
        Store.open(path, LATER)


def test_a_folder_in_the_place_of_the_file_is_refused(path: Path) -> None:
    path.mkdir()
    (path / "x").write_text("so that it is not empty")

    with pytest.raises(CannotOpen, match="Check its owner"):
        Store.open(path, LATER)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no file modes")
def test_nobody_else_can_read_the_store(path: Path) -> None:
    store = Store.open(path, NOW)
    store.apply([alert_line(1)])

    for found in (path, path.with_name("riskd.db-wal")):
        assert stat.S_IMODE(found.stat().st_mode) == 0o600
    store.close()
