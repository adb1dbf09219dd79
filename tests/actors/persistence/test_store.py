"""What is told to the store: a batch whole or not at all, and told twice the same as once."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.messages import (
    AccountId,
    HistoryKind,
    OwnClose,
    StoreCommand,
    StoreDay,
    StoreLockout,
    StoreMeta,
    StoreReceipt,
    StoreRuleState,
)
from actors.persistence import keys
from actors.persistence.queries import HistoryQuery, StoredState
from actors.persistence.schema import instant_text
from actors.persistence.store import NotWritable, Store
from tests.actors.persistence.samples import (
    DAY,
    MNQ,
    NAME,
    NOW,
    RULE,
    A,
    B,
    admin_line,
    alert_line,
    contract,
    end,
    fill,
    line,
    lockout,
    one_of_each,
    receipt,
    reset_line,
    store_fill,
)

CONTENT = (
    "SELECT id, at, kind, account, body FROM history ORDER BY id",
    "SELECT * FROM fills ORDER BY account, id",
    "SELECT * FROM lockouts ORDER BY account, rule",
    "SELECT * FROM rule_states ORDER BY account, rule",
    "SELECT * FROM days ORDER BY account, day",
    "SELECT * FROM contracts ORDER BY id",
    "SELECT * FROM receipts ORDER BY id",
    "SELECT * FROM meta ORDER BY key",
    "SELECT * FROM audit ORDER BY seq",
    "SELECT * FROM resets ORDER BY account, day",
)


def content(store: Store) -> list[list[tuple[object, ...]]]:
    read = [store._db.execute(sql).fetchall() for sql in CONTENT]
    return [[row for row in rows if row[0] != keys.STORE_ID] for rows in read]


COMMANDS = st.lists(
    st.sampled_from(
        [
            *one_of_each(),
            end(),
            StoreLockout(lockout(reason="again")),
            store_fill(7, OwnClose.LOCKOUT, fees=3_700),
            store_fill(7, pnl=None, voided=True),
            StoreRuleState(A, RULE, 11, b"older"),
            StoreRuleState(A, RULE, 13, b"newer"),
            StoreDay(A, NAME, DAY, 100, 5),
            admin_line(1, "refused"),
            admin_line(2),
            alert_line(1),
        ]
    ),
    max_size=14,
)


@settings(max_examples=20, deadline=None)
@given(commands=COMMANDS, cut=st.integers(0, 14), back=st.integers(0, 14))
def test_commands_told_again_after_a_crash_change_nothing(
    commands: list[StoreCommand], cut: int, back: int
) -> None:
    """A crash repeats the newest of what was stored, in order, before it goes on."""
    cut = min(cut, len(commands))
    again = max(0, cut - back)
    with TemporaryDirectory() as folder:
        once, twice = Store.open(Path(folder) / "a.db", NOW), Store.open(Path(folder) / "b.db", NOW)
        once.apply(commands)
        twice.apply(commands[:cut])
        twice.apply(commands[again:])
        try:
            assert content(once) == content(twice)
        finally:
            once.close()
            twice.close()


def test_a_batch_is_one_transaction(store: Store) -> None:
    seen: list[str] = []
    store._db.conn.set_trace_callback(seen.append)

    store.apply([alert_line(number) for number in range(200)])

    assert seen.count("COMMIT") == 1
    assert seen.count("BEGIN") == 1


def test_what_was_stored_is_there_after_opening_again(path: Path) -> None:
    first = Store.open(path, NOW)
    first.apply(one_of_each())
    before = content(first)
    first.close()

    second = Store.open(path, NOW)

    assert second.opening.state == "good"
    assert second.opening.lockouts == 1
    assert content(second) == before
    second.close()


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        # (pnl, fees, voided, own) as told in order; then what is kept
        ([(None, 3_700, False, "no"), (-500, 7_400, False, "no")], (-500, 7_400, 0, "no")),
        ([(-500, 7_400, False, "no"), (-500, 3_700, False, "no")], (-500, 7_400, 0, "no")),
        ([(-500, 7_400, False, "no"), (None, 0, False, "no")], (-500, 7_400, 0, "no")),
        ([(0, 3_700, False, "no"), (None, 3_700, False, "no")], (0, 3_700, 0, "no")),
        ([(-500, 7_400, False, "no"), (-500, 7_400, True, "no")], (-500, 7_400, 1, "no")),
        ([(-500, 7_400, True, "no"), (-500, 7_400, False, "no")], (-500, 7_400, 1, "no")),
        ([(-500, 7_400, False, "lockout"), (-500, 7_400, False, "no")], (-500, 7_400, 0, "lockout")),
        ([(-500, 7_400, False, "no"), (-500, 7_400, False, "reduce")], (-500, 7_400, 0, "reduce")),
    ],
)
def test_a_fill_keeps_what_either_way_gave(
    store: Store,
    told: list[tuple[int | None, int, bool, str]],
    kept: tuple[int | None, int, int, str],
) -> None:
    for pnl, fees, voided, own in told:
        store.apply([store_fill(7, OwnClose(own), pnl=pnl, fees=fees, voided=voided)])

    assert store._db.execute("SELECT pnl, fees, voided, own FROM fills").fetchall() == [kept]


@pytest.mark.parametrize(
    ("numbers", "kept"),
    [((5, 6), 6), ((6, 5), 6), ((6, 5, 7, 1), 7)],
)
def test_only_a_newer_rule_state_replaces(store: Store, numbers: tuple[int, ...], kept: int) -> None:
    for number in numbers:
        store.apply([StoreRuleState(A, RULE, number, str(number).encode())])

    recovered = store.recover(A, NOW)
    assert recovered.rule_states == {RULE: StoredState(kept, str(kept).encode())}
    assert recovered.last_seq == kept


def test_one_lockout_per_account_and_rule_and_an_ended_one_is_not_in_force(store: Store) -> None:
    store.apply(
        [
            StoreLockout(lockout()),
            StoreLockout(lockout("trade_frequency_limit")),
            StoreLockout(lockout(account=B)),
            StoreLockout(lockout(reason="deeper")),
            end("trade_frequency_limit"),
            end("never_set"),
        ]
    )

    assert store.recover(A, NOW).lockouts == (lockout(reason="deeper"),)
    live = store.live_lockouts()
    assert len(live) == 2
    assert lockout(reason="deeper") in live
    assert lockout(account=B) in live
    ended = store._db.execute("SELECT rule, ended_by FROM lockouts WHERE ended_at IS NOT NULL").fetchall()
    assert ended == [("trade_frequency_limit", "reset")]


def test_the_first_end_of_a_lockout_counts(store: Store) -> None:
    later = msgspec.structs.replace(end(), at=NOW + timedelta(days=1), reason="admin")

    store.apply([StoreLockout(lockout()), end(), later])

    assert store._db.execute("SELECT ended_by FROM lockouts").fetchall() == [("reset",)]


def test_a_lockout_set_again_after_its_end_is_in_force(store: Store) -> None:
    store.apply([StoreLockout(lockout()), end(), StoreLockout(lockout(reason="next day"))])

    assert store.live_lockouts() == (lockout(reason="next day"),)


def test_a_line_told_twice_is_stored_once_with_its_later_body(store: Store) -> None:
    store.apply([line(HistoryKind.ALERT, "1", outcome="waiting"), alert_line(2)])
    store.apply([line(HistoryKind.ALERT, "1", outcome="sent")])

    assert [found.get("outcome") for found in store.history(HistoryQuery())] == ["sent", None]


def test_a_reset_is_one_row_per_account_and_day(store: Store) -> None:
    store.apply([reset_line(), reset_line(cause="missed"), reset_line(cause="admin")])

    rows = store._db.execute("SELECT account, day, cause FROM resets").fetchall()
    assert rows == [(NAME, "2026-03-02", "scheduled")]


def test_a_row_that_no_table_takes_leaves_the_others_in(store: Store) -> None:
    bad = [
        line(HistoryKind.ALERT, "object", x=object()),
        line(HistoryKind.ALERT, "surrogate", x="\ud800"),
        line(HistoryKind.RESET, "no day", cause="missed"),
        StoreDay(A, NAME, DAY, 2**70, 1),
        StoreDay(A, NAME, DAY, 0.5, 1),  # type: ignore[arg-type]
    ]

    refused = store.apply([alert_line(1), *bad, alert_line(2)])

    assert [one.command for one in refused] == bad
    assert len(store.history(HistoryQuery())) == 2


def test_recovery_gives_an_account_everything_of_its_own(store: Store) -> None:
    since = instant_text(NOW).encode()
    store.apply(
        [
            *one_of_each(),
            store_fill(8, OwnClose.LOCKOUT),
            store_fill(9, account=B),
            StoreReceipt(receipt(2, verified=False), NAME),
            StoreMeta(keys.first_guarded(A), since),
            StoreMeta(keys.last_reset(A), since),
            StoreMeta(keys.baseline(A), since),
        ]
    )

    found = store.recover(A, NOW + timedelta(seconds=8))

    assert found.owners() == {8: OwnClose.LOCKOUT}
    assert found.fills[0].fill == fill(8)
    assert found.fills[0].day == DAY
    assert found.open_receipts == (receipt(2, verified=False),)
    assert (found.last_reset, found.first_guarded, found.baseline) == (NOW, NOW, NOW)
    assert store.recover(AccountId(5), NOW).last_seq == 0
    (kept,) = store.contracts()
    assert kept.contract == contract().contract
    assert kept.contract.ticks(21_000.25) == 84_001
    assert kept.contract.id == MNQ


def test_a_closed_store_says_so_instead_of_losing_rows(path: Path) -> None:
    store = Store.open(path, NOW)
    store.close()

    with pytest.raises(NotWritable) as failed:
        store.apply([alert_line(1)])
    assert failed.value.damaged
