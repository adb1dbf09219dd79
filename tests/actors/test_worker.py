"""The traps of pykka that the worker closes, each met on purpose; canaries for what it relies on in pykka.

A canary failing means: pykka changed something private that `actors/worker.py` is built on. Read what, then
move the pin.
"""

from __future__ import annotations

import inspect
import sys
import threading
from collections.abc import Iterator
from importlib.metadata import version

import pykka
import pytest
from pykka._envelope import Envelope as PykkaEnvelope
from pykka.messages import _ActorStop

from actors.address import Answer, Reason
from actors.clock import SystemClock
from actors.worker import Actor, Door, Exited, Failed, Incarnation, Ready, Terms
from supervisor.handle import Handle

PATIENCE_S = 10.0


class Host:
    """One address, one life at a time, and everything its lives said."""

    def __init__(self, factory, **terms: object) -> None:
        self.handle = Handle("a", SystemClock())
        self.notices: list[object] = []
        self.said = threading.Condition()
        self.terms = Terms(factory, **terms)  # type: ignore[arg-type]
        self.lives: list[Incarnation] = []

    def start(self) -> pykka.ActorRef[Incarnation]:
        self.handle.closed = None
        ref = Incarnation.start(self.handle, len(self.lives) + 1, self.terms, self.handle.kept, self.hear)
        self.lives.append(self.handle.latest_incarnation)
        return ref

    def hear(self, incarnation: Incarnation, notice: object) -> None:
        with self.said:
            self.notices.append(notice)
            self.said.notify_all()

    def wait_for(self, *kinds: type) -> None:
        with self.said:
            heard = self.said.wait_for(lambda: [type(n) for n in self.notices] == list(kinds), PATIENCE_S)
        assert heard, self.notices

    def end(self) -> None:
        for life in self.lives:
            self.handle.ask_stop(life)
            assert life.thread is not None
            life.thread.join(PATIENCE_S)
            assert not life.thread.is_alive()


class Plain(Actor):
    def __init__(self, kept: object | None) -> None:
        self.seen: list[object] = []

    def receive(self, message: object) -> None:
        if isinstance(message, BaseException):
            raise message
        self.seen.append(message)
        self.reply(message)


@pytest.fixture
def hosts() -> Iterator[list[Host]]:
    made: list[Host] = []
    yield made
    for host in made:
        host.end()
    assert pykka.ActorRegistry.get_all() == []


def plain(hosts: list[Host], factory: object = Plain) -> Host:
    host = Host(factory)
    hosts.append(host)
    host.start()
    return host


def answer_of(host: Host, message: object) -> object:
    return host.handle.ask(message, PATIENCE_S).result()


def test_a_start_that_raises_is_reported_from_inside_the_thread(hosts: list[Host]) -> None:
    class Broken(Plain):
        def started(self) -> None:
            raise OSError("no disk")

    host = plain(hosts, Broken)
    host.wait_for(Failed)
    assert host.notices[0].reason.describe() == "start_failed: OSError: no disk"


def test_the_factory_runs_in_the_actors_own_thread(hosts: list[Host]) -> None:
    threads: list[threading.Thread] = []

    def factory(kept: object | None) -> Actor:
        threads.append(threading.current_thread())
        return Plain(kept)

    host = plain(hosts, factory)
    host.wait_for(Ready)
    assert threads == [host.lives[0].thread]
    assert threads[0].daemon
    assert threads[0].name == "a#1"


def test_tells_behind_a_crash_are_still_there(hosts: list[Host]) -> None:
    host = plain(hosts)
    host.handle.max_attempts = 1
    for message in (ValueError("boom"), 1, 2):
        host.handle.tell(message)
    host.wait_for(Ready, Exited)
    assert host.handle.waiting() == [1, 2]
    host.start()
    assert answer_of(host, 3) == 3


def test_a_crash_on_an_ask_ends_the_actor_and_tells_the_asker(hosts: list[Host]) -> None:
    host = plain(hosts)
    with pytest.raises(ValueError, match="boom"):
        answer_of(host, ValueError("boom"))
    host.wait_for(Ready, Exited)


def test_a_system_exit_stops_nobody_else_and_leaves_no_asker_hanging(hosts: list[Host]) -> None:
    first, second = plain(hosts), plain(hosts)
    with pytest.raises(Exception, match="crash: SystemExit"):
        answer_of(first, SystemExit())
    first.wait_for(Ready, Exited)
    assert answer_of(second, "alive") == "alive"


def test_a_tell_to_nobody_raises_nothing(hosts: list[Host]) -> None:
    host = plain(hosts)
    host.handle.tell(ValueError("boom"))
    host.wait_for(Ready, Exited)
    host.handle.tell("after")
    assert host.handle.waiting()[-1] == "after"


def test_a_stop_overtakes_what_is_queued(hosts: list[Host]) -> None:
    gate, entered = threading.Event(), threading.Event()

    class Slow(Plain):
        def receive(self, message: object) -> None:
            entered.set()
            gate.wait(PATIENCE_S)

    host = plain(hosts, Slow)
    for number in range(10):
        host.handle.tell(number)
    assert entered.wait(PATIENCE_S)
    host.handle.ask_stop(host.lives[0])
    gate.set()
    host.wait_for(Ready, Exited)
    assert host.handle.depth == 9


def test_reply_and_epoch_and_attempt_belong_to_the_life_and_the_message(hosts: list[Host]) -> None:
    class Curious(Plain):
        def receive(self, message: object) -> None:
            self.reply((self.me.id, self.epoch, self.attempt, self.fenced))

    assert answer_of(plain(hosts, Curious), "?") == ("a", 1, 1, False)


def test_an_actor_outside_of_any_address_says_so() -> None:
    with pytest.raises(RuntimeError, match="cannot use Plain yet"):
        _ = Plain(None).me


def test_an_answer_that_never_comes_is_a_timeout_for_whoever_waits() -> None:
    now = [0.0]
    answer = Answer("a", 0.01, lambda: now[0])
    with pytest.raises(TimeoutError):
        answer.result(0.001)
    assert not answer.done()
    with pytest.raises(TimeoutError, match="cannot get an answer from a: no reply in time"):
        answer.result()
    answer.resolve("late")
    assert isinstance(answer.exception(), TimeoutError)


# What comes in through pykka's own reference.


def test_pykkas_reference_reaches_the_address(hosts: list[Host]) -> None:
    host = Host(Plain)
    hosts.append(host)
    ref = host.start()
    ref.tell("told")
    assert ref.ask("asked", timeout=PATIENCE_S) == "asked"
    with pytest.raises(ValueError, match="boom"):
        ref.ask(ValueError("boom"), timeout=PATIENCE_S)
    host.wait_for(Ready, Exited)
    assert not ref.is_alive()


def test_pykkas_stop_all_stops_us_in_good_order(hosts: list[Host]) -> None:
    host = plain(hosts)
    host.wait_for(Ready)
    assert pykka.ActorRegistry.get_all() == [host.lives[0].actor_ref]
    pykka.ActorRegistry.stop_all(timeout=PATIENCE_S)
    host.wait_for(Ready, Exited)
    assert host.notices[1].reason.kind == "shutdown"


# Canaries.


def test_canary_the_pinned_release_is_the_one_read() -> None:
    assert version("pykka") == "4.5.0"


def test_canary_start_builds_registers_and_runs_our_loop(hosts: list[Host]) -> None:
    source = inspect.getsource(pykka.Actor.start)
    assert "ActorRegistry.register(obj.actor_ref)" in source
    assert "obj._start_actor_loop()" in source
    assert {"_start_actor_loop", "_create_actor_inbox"} <= set(vars(pykka.ThreadingActor))
    assert Incarnation._actor_loop is not pykka.ThreadingActor._actor_loop


def test_canary_the_constructor_takes_its_inbox_from_our_hook(hosts: list[Host]) -> None:
    host = plain(hosts)
    assert isinstance(host.lives[0].actor_inbox, Door)
    assert host.lives[0].actor_ref.actor_inbox is host.lives[0].actor_inbox
    assert host.lives[0].actor_inbox.empty()
    with pytest.raises(NotImplementedError):
        host.lives[0].actor_inbox.get()


def test_canary_an_envelope_has_a_message_and_somebody_to_reply_to() -> None:
    assert PykkaEnvelope.__slots__ == ["message", "reply_to"]
    assert isinstance(_ActorStop(), _ActorStop)


def test_canary_unregistering_twice_is_harmless(hosts: list[Host]) -> None:
    host = plain(hosts)
    host.lives[0].strike_off()
    host.lives[0].strike_off()


def test_canary_an_exception_can_be_thrown_into_a_running_thread(hosts: list[Host]) -> None:
    assert sys.implementation.name == "cpython"
    inside = threading.Event()

    class Spinner(Plain):
        def receive(self, message: object) -> None:
            inside.set()
            while True:
                pass

    host = plain(hosts, Spinner)
    host.handle.tell("spin")
    assert inside.wait(PATIENCE_S)
    life = host.lives[0]
    assert not host.handle.interrupt(life), "only who was given up is interrupted"
    assert host.handle.fence(life, Reason("killed"))
    assert host.handle.interrupt(life)
    life.strike_off()
    life.thread.join(PATIENCE_S)
    assert not life.thread.is_alive()
