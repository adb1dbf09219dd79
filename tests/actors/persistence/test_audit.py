"""The audit chain: nothing is changed in it without showing."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.persistence.audit import GENESIS, Chain, follow, link
from actors.persistence.queries import AuditQuery
from actors.persistence.store import Store
from tests.actors.persistence.samples import NOW, admin_line

type Row = tuple[int, str, str, str]


def chain(entries: list[str]) -> list[Row]:
    rows, previous = [], GENESIS
    for number, entry in enumerate(entries, 1):
        digest = link(previous, entry)
        rows.append((number, entry, previous, digest))
        previous = digest
    return rows


@given(st.lists(st.text(max_size=20), max_size=20))
def test_an_untouched_chain_holds(entries: list[str]) -> None:
    rows = chain(entries)

    assert follow(rows) == Chain(len(entries), rows[-1][3] if rows else GENESIS)


@given(st.lists(st.text(max_size=20), min_size=2, max_size=20), st.data())
def test_every_edit_is_found_where_it_was_made(entries: list[str], data: st.DataObject) -> None:
    rows = chain(entries)
    at = data.draw(st.integers(0, len(rows) - 1))
    number, entry, previous, digest = rows[at]
    match data.draw(st.sampled_from(["entry", "digest", "previous", "recomputed", "deleted", "swapped"])):
        case "entry":
            rows[at] = (number, entry + "x", previous, digest)
            expected = number
        case "digest":
            rows[at] = (number, entry, previous, link(digest, "x"))
            expected = number
        case "previous":
            rows[at] = (number, entry, link(previous, "x"), digest)
            expected = number
        case "recomputed":  # the forger mends the digest of the row; the next one still points to the old
            rows[at] = (number, entry + "x", previous, link(previous, entry + "x"))
            expected = number + 1
        case "deleted":
            del rows[at]
            expected = number + 1
        case _:
            other = (at + 1) % len(rows)
            rows[at], rows[other] = rows[other], rows[at]
            expected = rows[min(at, other)][0]

    found = follow(rows)
    tail = at == len(chain(entries)) - 1 and expected > number
    assert found.broken_at == (None if tail else expected)
    if tail:  # only the head, kept elsewhere, tells that the newest entries were cut off or rewritten
        assert found.head != chain(entries)[-1][3]


@pytest.mark.parametrize("sql", ["UPDATE audit SET entry = 'x'", "DELETE FROM audit"])
def test_entries_can_be_neither_changed_nor_deleted(store: Store, sql: str) -> None:
    store.apply([admin_line(1)])

    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        store._db.execute(sql)


def test_an_edit_behind_the_triggers_back_is_found(store: Store) -> None:
    store.apply([admin_line(number) for number in range(5)])
    head = store.verify_audit().head
    store._db.execute("DROP TRIGGER audit_no_update")
    store._db.execute("UPDATE audit SET entry = replace(entry, 'unlock', 'status') WHERE seq = 3")

    assert store.verify_audit() == Chain(5, head, broken_at=3)


def test_an_entry_told_twice_is_one_entry_and_another_outcome_is_another(store: Store) -> None:
    assert store.apply([admin_line(1), admin_line(1)]) == ()
    assert store.apply([admin_line(1), admin_line(1, "refused")]) == ()

    entries = store.audit(AuditQuery())
    assert [entry["outcome"] for entry in entries] == ["done", "refused"]
    assert [entry["seq"] for entry in entries] == [1, 2]
    assert store.verify_audit().broken_at is None


def test_the_chain_goes_on_after_a_restart(path: Path) -> None:
    for number in range(3):
        store = Store.open(path, NOW)
        store.apply([admin_line(number)])
        chain = store.verify_audit()
        store.close()

    assert (chain.entries, chain.broken_at) == (3, None)


@given(st.lists(st.text(max_size=20), max_size=12), st.data(), st.booleans())
def test_every_row_put_in_is_found(entries: list[str], data: st.DataObject, linked: bool) -> None:
    """Given a forged row that even follows from the one before it, then the one behind it does not."""
    rows = chain(entries)
    at = data.draw(st.integers(0, len(rows)))
    before = rows[at - 1][3] if at else GENESIS
    previous = before if linked else link(before, "x")
    rows.insert(at, (at, "forged", previous, link(previous, "forged")))

    found = follow(rows)
    if linked and at == len(rows) - 1:  # at the end only the head, kept elsewhere, tells
        assert found.head != before
    else:
        assert found.broken_at is not None
