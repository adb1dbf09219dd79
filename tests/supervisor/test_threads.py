"""The same promises on real threads, where Python's own ways to die come in. Names carry the identifiers."""
# ruff: noqa: N802

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterator

import pykka
import pytest

from actors.address import ActorDied
from actors.worker import Actor, Ignore, Incarnation
from supervisor.child_spec import Backoff, Budget
from supervisor.driver import Refused
from tests.supervisor.stage import PATIENCE_S, Recorder, Stage, child


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    """Every test ends the threads it started, and pykka's books are empty."""
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        thread.join(PATIENCE_S)
        assert not thread.is_alive(), f"{thread.name} still runs"
    assert pykka.ActorRegistry.get_all() == []


def on_threads(*children, **terms):
    return Stage(*children, incarnation=terms.pop("incarnation", Incarnation), **terms)


class Blocker(Actor):
    """Blocks in its handler until the test lets go."""

    def __init__(self, entered: threading.Semaphore, gate: threading.Event) -> None:
        self.entered = entered
        self.gate = gate

    def receive(self, message: object) -> None:
        if message == "block":
            self.entered.release()
            self.gate.wait(PATIENCE_S)


def test_C09_too_many_threads_given_up_and_the_process_has_to_go() -> None:
    entered, gate = threading.Semaphore(0), threading.Event()
    blocker = child("a", lambda kept: Blocker(entered, gate), max_attempts=9)
    stage = on_threads(blocker, zombie_cap=3)
    with stage.on_threads():
        stage.handle("a").tell("block")
        for _ in range(3):
            assert entered.acquire(timeout=PATIENCE_S)
            given_up = stage.life("a")
            stage.until(lambda life=given_up: stage.handle("a").incumbent is not life, passing_s=0.05)
        assert stage.heard.must_restarts == []
        assert entered.acquire(timeout=PATIENCE_S)
        stage.until(lambda: bool(stage.heard.must_restarts), passing_s=0.05)
        gate.set()
        stage.until(lambda: stage.supervisor.zombies == [], passing_s=0.05)
    assert stage.heard.must_restarts == ["4 threads were given up and still run"]


def test_C07_a_busy_loop_in_python_is_even_ended() -> None:
    rounds: list[int] = []

    class Spinner(Actor):
        def receive(self, message: object) -> None:
            rounds.append(1)
            while True:
                pass

    stage = on_threads(child("a", lambda kept: Spinner(), max_attempts=1))
    with stage.on_threads():
        spinning = stage.life("a")
        stage.handle("a").tell("spin")
        stage.until(lambda: bool(rounds))
        stage.until(lambda: stage.handle("a").incumbent is not spinning, passing_s=0.05)
        stage.until(lambda: not spinning.thread.is_alive(), passing_s=0.05)
    hung = next(report for report in stage.heard.reports if report.reason and report.reason.kind == "hung")
    assert "in receive" in hung.reason.stack


def test_C11_a_thread_that_ends_without_a_word_is_noticed_by_the_next_scan() -> None:
    class Vanishing(Incarnation):
        def _actor_loop(self) -> None:
            if self.epoch > 1:
                super()._actor_loop()
            else:
                self.guarded(self.open)
                self.strike_off()

    seen: list[object] = []
    stage = on_threads(child("a", Recorder, args=(seen,)), incarnation=Vanishing)
    with stage.on_threads():
        stage.until(lambda: not stage.life("a").thread.is_alive() or stage.life("a").epoch > 1)
        stage.handle("a").tell("kept")
        stage.until(lambda: bool(seen), passing_s=0.05)
    assert seen == ["kept"]
    assert stage.heard.reports[1].reason.kind == "vanished"


@pytest.mark.parametrize(
    "deadly", [SystemExit, KeyboardInterrupt, GeneratorExit, MemoryError, RecursionError]
)
def test_C12_whatever_an_actor_dies_of_only_that_actor_dies(deadly: type[BaseException]) -> None:
    seen: list[object] = []
    others: list[object] = []
    stage = on_threads(child("a", Recorder, args=(seen,)), child("b", Recorder, args=(others,)))
    with stage.on_threads():
        bystander = stage.life("b")
        for message in (deadly(), "next"):
            stage.handle("a").tell(message)
        stage.handle("b").tell("alive")
        stage.until(lambda: seen == ["next"] and others == ["alive"])
        assert stage.life("b") is bystander
        assert stage.life("a").epoch == 3


def test_C11_an_exception_thrown_into_an_idle_thread_is_an_exit_like_any_other() -> None:
    seen: list[object] = []
    stage = on_threads(child("a", Recorder, args=(seen,)))
    with stage.on_threads():
        first = stage.life("a")
        ident = ctypes.c_ulong(first.thread.ident)
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ident, ctypes.py_object(SystemExit))
        stage.handle("a").tell("kept")
        stage.until(lambda: seen == ["kept"])
        assert stage.life("a").epoch == 2


def test_L04_an_asker_gets_the_reason_its_actor_died_of() -> None:
    stage = on_threads(child("a", Recorder, args=([],)))
    with stage.on_threads(), pytest.raises(ZeroDivisionError):
        stage.handle("a").ask(ZeroDivisionError("x"), PATIENCE_S).result()


def test_L05_asking_a_stopped_actor_fails_at_once() -> None:
    stage = on_threads(child("a", Recorder, args=([],)))
    with stage.on_threads():
        pass
    with pytest.raises(ActorDied, match="the program stopped"):
        stage.handle("a").ask("count", PATIENCE_S).result()


def test_L07_an_actor_that_asks_itself_is_told_so() -> None:
    class Narcissus(Actor):
        def receive(self, message: object) -> None:
            if message == "mirror":
                try:
                    self.me.ask("self", PATIENCE_S).result()
                except ActorDied as error:
                    self.reply(str(error))

    stage = on_threads(child("a", lambda kept: Narcissus()))
    with stage.on_threads():
        answer = stage.handle("a").ask("mirror", PATIENCE_S).result()
    assert answer == "cannot ask a: it would wait for itself. Use tell."


def test_L08_a_failing_initialisation_reaches_whoever_started_it() -> None:
    class Broken(Actor):
        def started(self) -> None:
            raise OSError("no disk")

    stage = on_threads(child("a", Recorder, args=([],)), child("b", lambda kept: Broken()))
    with stage.on_threads():
        assert stage.supervisor.ended.describe() == "start_failed: b: OSError: no disk"
    assert stage.heard.kinds("b") == ["start_failed"]


def test_L09_a_failing_stop_hook_does_not_hide_the_exit() -> None:
    class Clumsy(Actor):
        def stopping(self) -> None:
            raise OSError("no disk")

    stage = on_threads(child("a", lambda kept: Clumsy()))
    with stage.on_threads():
        pass
    assert stage.heard.reports[-1].reason.describe() == "crash: OSError: no disk"
    assert stage.heard.reports[-1].expected


def test_L10_a_crash_while_serving_an_ask_is_a_crash() -> None:
    stage = on_threads(child("a", Recorder, args=([],)))
    with stage.on_threads():
        first = stage.life("a")
        answer = stage.handle("a").ask(ValueError("boom"), PATIENCE_S)
        assert isinstance(answer.exception(), ValueError)
        stage.until(lambda: stage.handle("a").incumbent not in (first, None))
        assert stage.heard.kinds("a")[1] == "exited"


def test_P02_an_actor_stuck_in_its_handler_does_not_keep_the_tree_from_stopping() -> None:
    entered, gate = threading.Semaphore(0), threading.Event()
    blocker = child("a", lambda kept: Blocker(entered, gate), shutdown_s=0.1, handler_deadline_s=60.0)
    stage = on_threads(blocker, child("b", Recorder, args=([],)))
    with stage.on_threads():
        stage.handle("a").tell("block")
        assert entered.acquire(timeout=PATIENCE_S)
    assert [report.reason.kind for report in stage.heard.reports if report.kind == "exited"] == [
        "shutdown",
        "killed",
    ]
    gate.set()


def test_a_stop_with_drain_works_off_the_queue_first() -> None:
    entered, gate = threading.Semaphore(0), threading.Event()
    rows: list[object] = []

    class Store(Blocker):
        def receive(self, message: object) -> None:
            super().receive(message)
            rows.append(message)

    stage = on_threads(child("a", lambda kept: Store(entered, gate), drain=True))
    with stage.on_threads():
        for message in ("block", 1, 2, 3):
            stage.handle("a").tell(message)
        assert entered.acquire(timeout=PATIENCE_S)
        stage.stop()
        gate.set()
    assert rows == ["block", 1, 2, 3]
    assert stage.heard.letters == []


def test_a_stop_without_drain_leaves_the_queue_to_the_dead_letters() -> None:
    entered, gate = threading.Semaphore(0), threading.Event()
    stage = on_threads(child("a", lambda kept: Blocker(entered, gate)))
    with stage.on_threads():
        for message in ("block", 1, 2):
            stage.handle("a").tell(message)
        assert entered.acquire(timeout=PATIENCE_S)
        stage.stop()
        gate.set()
    assert [letter.message for letter in stage.heard.letters] == [1, 2]


def test_an_actor_that_is_never_doubled_is_started_only_when_its_thread_is_gone() -> None:
    entered, gate = threading.Semaphore(0), threading.Event()
    late = Backoff(min_s=0.1, max_s=0.1, jitter=0)
    store = child(
        "a",
        lambda kept: Blocker(entered, gate),
        replace_when_hung=False,
        backoff=late,
        shutdown_s=0.2,
        handler_deadline_s=60.0,
    )
    stage = on_threads(store)
    with stage.on_threads():
        first = stage.life("a")
        stage.handle("a").tell("block")
        assert entered.acquire(timeout=PATIENCE_S)
        stage.recycle("a")
        stage.wait(2.0)
        assert stage.handle("a").incumbent is None
        assert "restart_failed" in stage.heard.kinds("a")
        gate.set()
        first.thread.join(PATIENCE_S)
        stage.until(lambda: stage.handle("a").incumbent is not None, passing_s=0.05)
        assert entered.acquire(timeout=PATIENCE_S)


def test_a_further_thread_that_stops_beating_makes_its_actor_hung() -> None:
    beats = []

    class Looper(Actor):
        def started(self) -> None:
            beats.append(self.beats(0.2))

        def receive(self, message: object) -> None:
            pass

    stage = on_threads(child("a", lambda kept: Looper()))
    with stage.on_threads():
        for _ in range(20):
            beats[0].beat()
            stage.wait(0.1)
        assert len(beats) == 1
        stage.wait(0.3)
        stage.until(lambda: len(beats) == 2)
    assert "a thread of it has been silent" in next(
        r.line() for r in stage.heard.reports if r.kind == "exited"
    )


def test_an_actor_that_is_done_ends_with_reason_normal() -> None:
    class Once(Actor):
        def receive(self, message: object) -> None:
            self.finish()

    stage = on_threads(child("a", lambda kept: Once(), restart="transient"))
    with stage.on_threads():
        stage.handle("a").tell("go")
        stage.until(lambda: stage.handle("a").closed is not None)
    assert [report.reason.kind for report in stage.heard.reports if report.reason] == ["normal"]


def test_an_actor_may_say_there_is_nothing_to_do() -> None:
    class Idle(Actor):
        def started(self) -> None:
            raise Ignore

    stage = on_threads(child("a", lambda kept: Idle()), child("b", Recorder, args=([],)))
    with stage.on_threads():
        states = [node["state"] for node in stage.supervisor.tree()["children"]]
        assert states == ["stopped", "running"]


def test_a_factory_that_returns_nonsense_fails_the_start_and_names_it() -> None:
    stage = on_threads(child("a", lambda kept: "nonsense"))
    with stage.on_threads():
        assert "cannot host 'nonsense'" in stage.supervisor.ended.describe()


def test_an_actor_that_keeps_crashing_is_given_up_and_said_so() -> None:
    stage = on_threads(child("a", Recorder, args=([],), crashes=Budget(5, 30.0)))
    with stage.on_threads():
        for _ in range(3):
            stage.handle("a").tell(ValueError("boom"))
        stage.until(lambda: "gave_up" in stage.heard.kinds("a"))
        assert stage.supervisor.tree()["children"][0]["state"] == "given_up"
    assert stage.heard.kinds("a").count("exited") == 5


def test_chaos_orders_do_what_they_say() -> None:
    seen: list[object] = []
    stage = on_threads(child("a", Recorder, args=(seen,)))
    with stage.on_threads():
        stage.supervisor.crash("a")
        stage.handle("a").tell(1)
        stage.until(lambda: seen == [1])
        assert stage.heard.letters == []
        assert stage.life("a").epoch == 2
        stage.supervisor.kill("a")
        stage.handle("a").tell(2)
        stage.until(lambda: seen == [1, 2])
        hung = stage.life("a")
        stage.supervisor.hang("a", 0.2)
        stage.handle("a").tell(3)
        stage.until(lambda: seen == [1, 2, 3], passing_s=0.05)
        assert stage.life("a") is not hung
        with pytest.raises(KeyError, match="cannot find actor 'z': there is a"):
            stage.supervisor.crash("z")
        with pytest.raises(Refused, match="cannot do that to z: not_found"):
            stage.supervisor.kill("z")


def test_killing_an_actor_that_must_not_be_doubled_lets_it_crash_by_itself() -> None:
    seen: list[object] = []
    stage = on_threads(child("a", Recorder, args=(seen,), replace_when_hung=False))
    with stage.on_threads():
        stage.supervisor.kill("a")
        stage.handle("a").tell(1)
        stage.until(lambda: seen == [1])
    assert stage.heard.kinds("a") == ["started", "exited", "restarted", "exited"]


def test_a_tree_that_gives_up_says_that_the_process_has_to_go() -> None:
    stage = on_threads(child("a", Recorder, args=([],), crashes=Budget(1, 1.0), stance="escalate"))
    with stage.on_threads():
        stage.handle("a").tell(ValueError("boom"))
        stage.until(lambda: stage.supervisor.ended is not None)
    assert stage.heard.must_restarts == ["escalated: a kept failing: crash: ValueError: boom"]
