"""What is kept how long: old rows go after a backup, in small steps, and what must stay stays."""

from __future__ import annotations

from datetime import timedelta

import pytest

from actors.messages import HistoryKind, StoreReceipt
from actors.persistence import retention
from actors.persistence.queries import HistoryQuery
from actors.persistence.store import Store
from tests.actors.persistence.samples import (
    NAME,
    NOW,
    A,
    admin_line,
    alert_line,
    line,
    lockout,
    one_of_each,
    receipt,
)

DAY = timedelta(days=1)


def test_every_kind_of_line_has_a_time_for_which_it_is_kept() -> None:
    assert set(retention.HISTORY) == set(HistoryKind)


@pytest.mark.parametrize("kind", HistoryKind)
def test_a_line_goes_when_its_time_is_over_and_not_before(kind: HistoryKind, store: Store) -> None:
    kept = retention.HISTORY[kind]
    body = {"day": "x", "cause": "admin"} if kind is HistoryKind.RESET else {}
    store.apply([line(kind, "old", NOW - kept - DAY, **body), line(kind, "young", NOW - kept + DAY, **body)])

    assert store.prune(NOW, 100) == 1
    assert [told["id"] for told in store.history(HistoryQuery())] == [f"{kind.value}/{NAME}/young"]


def test_in_steps_and_oldest_first(store: Store) -> None:
    store.apply([alert_line(number) for number in range(10)])
    later = NOW + retention.MONTHS + DAY

    assert store.prune(later, 4) == 4
    assert store.history(HistoryQuery(limit=1))[0]["id"] == f"alert/{NAME}/9"
    assert [store.prune(later, 4) for _ in range(3)] == [4, 2, 0]


def test_what_protects_and_what_proves_stays_for_good(store: Store) -> None:
    store.apply([*one_of_each(), StoreReceipt(receipt(2, verified=False), NAME), admin_line(2)])
    before = store.verify_audit()

    store.prune(NOW + timedelta(days=10_000), 10_000)

    left = store.recover(A, NOW - timedelta(days=10_000))
    assert left.lockouts == (lockout(),)
    assert left.fills == ()
    assert [one.id for one in left.open_receipts] == [receipt(2).id]
    assert set(left.rule_states) == {lockout().rule}
    assert store.verify_audit() == before
    assert len(store.contracts()) == 1
