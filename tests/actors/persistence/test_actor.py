"""The persistence actor: stores in groups, answers when durable, outlives crashes and a failing disk."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from actors.board import Board
from actors.clock import ManualClock
from actors.messages import Alert, Flush, HistoryKind, Now, StoreLockout, StoreMeta, StoreRuleState, Tick
from actors.persistence import actor as persistence
from actors.persistence import keys
from actors.persistence.actor import PersistenceActor
from actors.persistence.backlog import Backlog
from actors.persistence.queries import (
    AuditQuery,
    BackedUp,
    BackupNow,
    ContractsQuery,
    Flushed,
    HistoryQuery,
    ListBackups,
    ReadMeta,
    RecoverAccount,
    ReportQuery,
    RestoreBackup,
    Restored,
    StoreView,
    VerifyAudit,
    WhyQuery,
)
from actors.persistence.store import Store
from supervisor.handle import Handle
from tests.actors.hosting import Hosted, wait_for
from tests.actors.persistence.samples import (
    DAY,
    MNQ,
    NAME,
    NOW,
    RULE,
    A,
    alert_line,
    chain_of_a_breach,
    end,
    line,
    lockout,
    one_of_each,
    store_fill,
)

ASK_S = 5.0


class Desk:
    """A hosted persistence actor with everything around it that a test looks at."""

    def __init__(
        self, store: Store, actor: Hosted, clock: ManualClock, board: Board, notices: Handle
    ) -> None:
        self.store, self.actor, self.clock, self.board, self.notices = store, actor, clock, board, notices

    def tell(self, *messages: object) -> None:
        for message in messages:
            self.actor.handle.tell(message)

    def ask(self, message: object) -> object:
        return self.actor.handle.ask(message, ASK_S).result()

    def tick(self, seconds: float = 1.0) -> None:
        self.clock.advance(seconds)
        self.tell(Tick(Now(self.clock.wall(), self.clock.mono())))
        self.actor.settle()

    def view(self) -> StoreView:
        view = self.board.read(("store",), StoreView)
        assert view is not None
        return view

    def alerts(self) -> list[Alert]:
        return [told for told in self.notices.waiting() if isinstance(told, Alert)]


@contextmanager
def desk(store: Store, wait: Callable[[float], None] = lambda _s: None) -> Iterator[Desk]:
    clock, board = ManualClock(NOW), Board()
    notices = Handle("notices", clock)

    def factory(kept: object) -> PersistenceActor:
        return PersistenceActor(kept, store, clock, board, notices, wait)

    with Hosted("persistence", factory, clock) as actor:
        yield Desk(store, actor, clock, board, notices)


class Gate:
    """Stands for the milliseconds a first row is held: lets a test say when they are over."""

    def __init__(self) -> None:
        self.entered, self.open = threading.Event(), threading.Event()

    def __call__(self, seconds: float) -> None:
        assert seconds in (persistence.LINGER_S, persistence.GATHER_S)
        self.entered.set()
        assert self.open.wait(ASK_S)


def commits(store: Store) -> list[str]:
    seen: list[str] = []
    store._db.conn.set_trace_callback(lambda sql: seen.append(sql) if sql == "COMMIT" else None)
    return seen


def test_what_arrives_while_a_first_row_is_held_is_one_transaction(store: Store) -> None:
    gate, seen = Gate(), commits(store)
    with desk(store, gate) as it:
        it.tell(alert_line(0))
        assert gate.entered.wait(ASK_S)
        it.tell(*(alert_line(number) for number in range(1, 100)))
        gate.open.set()
        it.actor.settle()

        assert len(seen) == 1
        assert len(store.history(HistoryQuery(limit=1_000))) == 100


def test_flush_is_answered_when_everything_told_before_it_is_durable(store: Store) -> None:
    with desk(store) as it:
        it.tell(*(alert_line(number) for number in range(50)), StoreLockout(lockout()))

        assert it.ask(Flush()) == Flushed(ok=True)
        assert len(store.history(HistoryQuery())) == 50
        assert store.live_lockouts() == (lockout(),)


def test_a_crash_before_the_commit_loses_no_row(store: Store) -> None:
    gate = Gate()
    with desk(store, gate) as it:
        it.tell(*(alert_line(number) for number in range(20)))
        assert gate.entered.wait(ASK_S)
        it.actor.handle.tell(StoreLockout(lockout()))
        gate.open.set()
        it.actor.crash()

        assert it.actor.ends[0].startswith("crash")
        assert it.ask(Flush()) == Flushed(ok=True)
        assert len(store.history(HistoryQuery())) == 20
        assert store.live_lockouts() == (lockout(),)


def test_rows_not_yet_durable_survive_any_number_of_crashes(store: Store) -> None:
    for number in range(3):
        store.backlog = store.backlog.add(alert_line(number), 0.0)
    with desk(store) as it:
        for _ in range(4):
            it.actor.crash()

        assert len(store.history(HistoryQuery())) == 3


def test_an_orderly_stop_stores_what_is_left(path: Path) -> None:
    store = Store.open(path, NOW)
    with desk(store) as it:
        it.tell(*(alert_line(number) for number in range(300)))

    assert len(store.history(HistoryQuery(limit=1_000))) == 300
    store.close()


def test_more_than_a_chunk_goes_in_several_transactions(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(persistence, "CHUNK", 10)
    seen = commits(store)
    for number in range(35):
        store.backlog = store.backlog.add(alert_line(number), 0.0)
    with desk(store) as it:
        it.actor.settle()

        assert len(seen) == 4
        it.tick()
        assert it.view().rows == 35


def test_a_row_that_no_table_takes_is_counted_and_the_actor_lives(store: Store) -> None:
    with desk(store) as it:
        it.tell(alert_line(1), line(HistoryKind.ALERT, "bad", x=object()), alert_line(2))

        assert it.ask(Flush()) == Flushed(ok=True)
        it.tick()
        assert it.view().refused == 1
        assert it.view().rows == 2
        assert it.actor.ends == []


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        (ReadMeta("first_guarded/1001"), b"2026-03-02T15:00:00.000000Z"),
        (ReadMeta("nothing"), None),
        (ListBackups(), ()),
    ],
)
def test_questions_see_what_was_told_before_them(store: Store, question: object, answer: object) -> None:
    with desk(store) as it:
        it.tell(*one_of_each())

        assert it.ask(question) == answer


def test_every_question_is_answered(store: Store) -> None:
    with desk(store) as it:
        it.tell(*one_of_each())

        for question in (
            RecoverAccount(A, NOW),
            ContractsQuery(),
            HistoryQuery(),
            WhyQuery(),
            ReportQuery(DAY, DAY),
            AuditQuery(),
            VerifyAudit(),
        ):
            assert it.ask(question)


def read_only(store: Store, on: bool) -> None:
    """The disk stops taking rows: what a full or read-only one looks like to the connection."""
    store._db.execute(f"PRAGMA query_only = {int(on)}")


def test_a_disk_that_takes_no_rows_is_waited_for_and_shown(store: Store) -> None:
    with desk(store) as it:
        read_only(store, True)
        it.tell(StoreLockout(lockout()), alert_line(1))
        flushed = it.ask(Flush())

        assert isinstance(flushed, Flushed)
        assert not flushed.ok
        assert flushed.error is not None
        assert "readonly" in flushed.error
        it.tick(3.0)
        it.tick(3.0)
        assert not it.view().ok
        assert it.view().late_s >= 6.0
        assert it.view().backlog == 2
        assert [(told.notice.level, told.notice.component) for told in it.alerts()] == [("critical", "store")]

        read_only(store, False)
        it.tick(10.0)
        assert it.view().ok
        assert it.view().backlog == 0
        assert store.live_lockouts() == (lockout(),)
        assert [told.notice.level for told in it.alerts()] == ["critical", "info"]


def test_retries_get_rarer_while_the_disk_fails(store: Store) -> None:
    with desk(store) as it:
        read_only(store, True)
        it.tell(alert_line(1))
        it.actor.settle()
        tried: list[str] = []
        store._db.conn.set_trace_callback(lambda sql: tried.append(sql) if sql == "BEGIN" else None)
        for _ in range(60):
            it.tick(0.25)

        assert 4 <= len(tried) <= 7


def test_a_long_failure_never_costs_a_lockout_and_says_what_it_cost(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(persistence, "LIMIT", 100)
    with desk(store) as it:
        read_only(store, True)
        it.tell(StoreLockout(lockout("first")), StoreRuleState(A, RULE, 1, b"1"))
        for number in range(150):
            it.tell(alert_line(number), StoreRuleState(A, RULE, 2 + number, b"%d" % number))
        it.tell(StoreLockout(lockout()), end("first"))
        it.tick()
        assert it.view().backlog <= 100
        assert it.view().dropped > 0

        read_only(store, False)
        it.tick(10.0)
        assert store.live_lockouts() == (lockout(),)
        assert store.recover(A, NOW).last_seq == 151
        assert len(store.history(HistoryQuery(limit=1_000))) + it.view().dropped == 150


def test_squeezing_keeps_the_newest_of_each_and_drops_the_oldest_lines() -> None:
    backlog = Backlog()
    told = [
        StoreMeta("a", b"1"),
        alert_line(1),
        StoreRuleState(A, RULE, 5, b"5"),
        store_fill(1),
        StoreMeta("a", b"2"),
        StoreRuleState(A, RULE, 4, b"4"),
        StoreLockout(lockout()),
        alert_line(2),
        end(),
    ]
    for command in told:
        backlog = backlog.add(command, 1.5)

    assert backlog.commands() == told
    squeezed = backlog.squeezed(5)
    assert squeezed.commands() == [told[2], told[4], told[6], told[7], told[8]]
    assert (squeezed.count, squeezed.dropped, squeezed.since) == (5, 2, 1.5)


def test_a_file_damaged_while_in_use_is_set_aside_and_rows_go_on(store: Store) -> None:
    with desk(store) as it:
        it.tell(StoreLockout(lockout()), *(alert_line(number) for number in range(500)))
        it.ask(Flush())
        store._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        root = store._db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'history'").fetchone()[0]
        store._db.execute("PRAGMA shrink_memory")
        with store.path.open("r+b") as file:
            file.seek((root - 1) * 4096)
            file.write(b"\xff" * 4096)
        it.tell(alert_line(9_999))
        it.actor.settle()
        it.tick(10.0)

        assert store.opening.state == "rebuilt"
        assert store.live_lockouts() == (lockout(),)
        assert it.view().ok
        assert "9999" in str(store.history(HistoryQuery(limit=1))[-1]["id"])
        assert "rebuilt" in it.alerts()[0].notice.message


def test_a_file_moved_away_is_written_again_in_full(store: Store) -> None:
    with desk(store) as it:
        it.tell(StoreLockout(lockout()))
        it.ask(Flush())
        store.path.rename(store.path.with_name("taken-away.db"))
        it.tick()
        it.tell(alert_line(1))
        it.ask(Flush())

        # The daily backup that the tick began may be told by now.
        levels = [told.notice.level for told in it.alerts()]
        assert [level for level in levels if level != "info"] == ["critical"]
    store.close()
    again = Store.open(store.path, NOW)
    assert again.opening.state == "good"
    assert again.live_lockouts() == (lockout(),)
    assert len(again.history(HistoryQuery())) == 1
    again.close()


def test_a_backup_is_made_daily_and_told_with_the_audit_head(store: Store) -> None:
    with desk(store) as it:
        it.tell(*one_of_each())
        for wanted in (1, 2):
            it.tick(1.0)
            wait_for(lambda wanted=wanted: len(it.alerts()) == wanted)  # type: ignore[misc]
            it.tick(3_600.0)
            it.tick(3_600.0)
            assert len(store.backup_names()) == wanted
            it.clock.advance(timedelta(hours=23).total_seconds())

        assert store.audit_head() in it.alerts()[0].notice.message
        assert it.ask(ReadMeta(keys.LAST_BACKUP)) is not None


def test_backup_now_is_answered_when_the_copy_is_checked(store: Store) -> None:
    with desk(store) as it:
        it.tell(*chain_of_a_breach())
        answer = it.ask(BackupNow())

        assert isinstance(answer, BackedUp)
        assert answer.error is None
        it.tick()
        assert it.view().last_backup == answer.path
        assert it.ask(ListBackups()) == (answer.path,)


def test_a_backup_is_restored_on_request_and_a_wrong_name_is_an_answer(store: Store) -> None:
    with desk(store) as it:
        it.tell(alert_line(1))
        made = it.ask(BackupNow())
        assert isinstance(made, BackedUp)
        assert made.path is not None
        it.tell(alert_line(2), StoreLockout(lockout()))

        wrong = it.ask(RestoreBackup("nothing.db"))
        assert isinstance(wrong, Restored)
        assert not wrong.ok
        done = it.ask(RestoreBackup(made.path))
        assert isinstance(done, Restored)
        assert done.ok
        assert store.live_lockouts() == (lockout(),)
        assert it.ask(Flush()) == Flushed(ok=True)


def test_an_unknown_message_is_our_defect_and_ends_this_incarnation_only(store: Store) -> None:
    with desk(store) as it:
        answer = it.actor.handle.ask(object(), ASK_S)

        with pytest.raises(TypeError, match="cannot store or answer"):
            answer.result()
        assert it.ask(Flush()) == Flushed(ok=True)


FULL_DISK = """
    import resource, signal, sys
    from datetime import UTC, datetime
    from pathlib import Path
    from actors.board import Board
    from actors.clock import ManualClock
    from actors.messages import Flush, HistoryKind, Now, Record, StoreLockout, Tick
    from actors.persistence.actor import PersistenceActor
    from actors.persistence.queries import HistoryQuery
    from actors.persistence.store import Store
    from supervisor.handle import Handle
    from tests.actors.hosting import Hosted
    from tests.actors.persistence.samples import NOW, alert_line, lockout, line

    clock, board = ManualClock(NOW), Board()
    store = Store.open(Path(sys.argv[1]), NOW)
    size = store.path.stat().st_size
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    notices = Handle("notices", clock)
    factory = lambda kept: PersistenceActor(kept, store, clock, board, notices)
    with Hosted("persistence", factory, clock) as actor:
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
        big = [line(HistoryKind.ALERT, str(i), text="x" * 2_000) for i in range(400)]
        for row in big:
            actor.handle.tell(row)
        actor.handle.tell(StoreLockout(lockout()))
        full = actor.handle.ask(Flush(), 20.0).result()
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        clock.advance(60.0)
        actor.handle.tell(Tick(Now(clock.wall(), clock.mono())))
        after = actor.handle.ask(Flush(), 20.0).result()
        stored = len(store.history(HistoryQuery(kind=HistoryKind.ALERT, limit=10_000)))
        print(full.ok, after.ok, stored, store.live_lockouts() == (lockout(),), actor.ends)
    store.close()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no limit on file sizes")
def test_a_full_disk_delays_rows_and_loses_none(path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(FULL_DISK), str(path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=Path(__file__).parents[3],
    )

    assert ran.stdout.split(maxsplit=4)[:4] == ["False", "True", "400", "True"], ran.stderr
    assert ran.stdout.strip().endswith("[]")


def test_what_belongs_together_is_told_by_why(store: Store) -> None:
    store.apply(chain_of_a_breach())

    why = store.why(WhyQuery(account=NAME))

    assert why is not None
    assert why.inputs == {"realized": "-512.50"}
    assert MNQ in str(why.enforcement)
