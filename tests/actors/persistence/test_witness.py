"""The witness outside the home: what it notes, and which home it takes for the one it saw."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from actors.messages import HistoryKind, StoreCommand
from actors.persistence import keys
from actors.persistence.queries import Doubt
from actors.persistence.store import Store
from actors.persistence.witness import Head, Unreadable, WitnessWriter, name_of, read, write
from tests.actors.hosting import wait_for
from tests.actors.persistence.samples import NOW, RULE, admin_line, line

ONE, OTHER = frozenset({"gw:443/1001"}), frozenset({"gw:443/1002"})
PAGE = 4096


def head(store: Store) -> Head:
    return Head(store.id(), store.audit_head(), NOW)


def lockout_line(number: int = 1, at: timedelta = timedelta(0)) -> StoreCommand:
    body = {"rule": RULE, "lockout_kind": "until_reset", "since": f"2026-03-02T15:{number:02}:00Z"}
    return line(HistoryKind.LOCKOUT, str(number), NOW + at, **body)


def damage(path: Path, table: str) -> None:
    store = Store.open(path, NOW)
    (root,) = store._db.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()
    store.close()
    with path.open("r+b") as file:
        file.seek((root - 1) * PAGE)
        file.write(b"\xff" * PAGE)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://api.topstepx.com/api", "api.topstepx.com:443/1001"),
        ("http://127.0.0.1:8080/api", "127.0.0.1:8080/1001"),
    ],
)
def test_it_is_kept_by_gateway_host_port_and_account(url: str, name: str) -> None:
    assert name_of(url, 1001) == name


def test_each_home_notes_its_own_accounts_and_leaves_those_of_others(tmp_path: Path) -> None:
    path = tmp_path / "witness"
    write(path, ONE, Head("a", "1", NOW))
    write(path, OTHER, Head("b", "2", NOW))
    write(path, ONE, Head("a", "3", NOW))

    assert {name: one.head for name, one in read(path).items()} == {"gw:443/1001": "3", "gw:443/1002": "2"}
    assert not path.with_name("witness.new").exists()


def test_what_is_no_witness_is_told_from_none_and_written_anew(tmp_path: Path) -> None:
    path = tmp_path / "witness"
    assert read(path) == {}
    path.write_text("once upon a time")
    with pytest.raises(Unreadable):
        read(path)

    write(path, ONE, Head("a", "1", NOW))

    assert list(read(path)) == ["gw:443/1001"]


@pytest.mark.parametrize("told", [lockout_line(), admin_line(1)])
def test_lockouts_and_what_admins_do_move_the_head(told: StoreCommand, store: Store) -> None:
    before = store.audit_head()

    store.apply([told])

    assert store.audit_head() != before
    assert store.verify_audit().broken_at is None


def test_a_lockout_told_again_after_a_restart_moves_it_no_more(store: Store) -> None:
    store.apply([lockout_line()])
    before = store.verify_audit()

    store.apply([lockout_line(at=timedelta(hours=1))])

    assert store.verify_audit() == before


def test_a_home_that_is_ahead_of_its_witness_is_the_same_home(path: Path) -> None:
    store = Store.open(path, NOW)
    store.apply([lockout_line(1)])
    seen = head(store)
    store.apply([lockout_line(2)])
    store.close()

    again = Store.open(path, NOW)

    assert again.knows(seen.store, seen.head)
    again.close()


def test_an_older_copy_put_back_is_not_what_the_witness_saw(path: Path) -> None:
    store = Store.open(path, NOW)
    store.apply([lockout_line(1)])
    store.close()
    copy = path.read_bytes()
    store = Store.open(path, NOW)
    store.apply([lockout_line(2)])
    seen = head(store)
    store.close()
    path.write_bytes(copy)

    older = Store.open(path, NOW)

    assert not older.knows(seen.store, seen.head)
    older.close()


def test_a_new_home_is_another_also_where_nothing_was_noted_yet(path: Path) -> None:
    store = Store.open(path, NOW)
    seen = head(store)
    store.close()
    path.unlink()

    new = Store.open(path, NOW)

    assert not new.knows(seen.store, seen.head)
    new.close()


def test_a_store_rebuilt_from_what_can_be_read_is_the_same_home(path: Path) -> None:
    store = Store.open(path, NOW)
    store.apply([lockout_line()])
    seen = head(store)
    store.close()
    damage(path, "contracts")

    rebuilt = Store.open(path, NOW)

    assert rebuilt.opening.state == "rebuilt"
    assert rebuilt.knows(seen.store, seen.head)
    rebuilt.close()


def test_only_the_newest_head_is_written_while_the_disk_is_slow(tmp_path: Path) -> None:
    said = list[str | None]()
    writer = WitnessWriter(tmp_path / "witness", said.append)
    writer.names = ONE

    for number in range(50):
        writer.note(Head("a", str(number), NOW))

    wait_for(lambda: bool(read(writer.path)) and read(writer.path)["gw:443/1001"].head == "49")
    assert set(said) <= {None}


def test_a_folder_that_is_not_there_is_said_and_nobody_waits(tmp_path: Path) -> None:
    said = list[str | None]()
    writer = WitnessWriter(tmp_path / "no" / "such" / "folder" / "witness", said.append)
    writer.names = ONE

    writer.note(Head("a", "1", NOW))

    wait_for(lambda: len(said) == 1)
    assert "cannot write the witness" in str(said[0])


def test_lockouts_that_are_lost_are_known_to_whoever_opens_the_store_next(path: Path) -> None:
    damage(path, "lockouts")

    Store.open(path, NOW).close()
    again = Store.open(path, NOW + timedelta(minutes=1))

    assert again.opening.state == "good"
    lost = again.meta(keys.LOCKOUTS_LOST)
    assert lost is not None
    assert msgspec.json.decode(lost, type=Doubt).at == NOW
    again.close()
