"""The notices actor: everything recorded, people told, and no server able to hold up anything."""

from __future__ import annotations

import http.server
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from actors.clock import ManualClock
from actors.messages import Alert, HistoryKind, Notice, Now, Record, Tick
from actors.notices.actor import NoticesActor, NoticesState, TestAlerts, UseTargets, first_state
from actors.notices.delivery import Deliver, by_apprise
from actors.notices.outbox import ABANDON_S, ANSWER_S, GAP_S
from actors.notices.targets import Target, targets
from actors.persistence.queries import StoredAlert
from actors.persistence.schema import instant_text
from config.checks import settings_from
from supervisor.handle import Handle
from tests.actors.hosting import Hosted, wait_for

NOW = datetime(2026, 3, 2, 15, 30, tzinfo=UTC)
ASK_S = 10.0


class Messages:
    """Takes the place of a service: keeps what it was given, answers as told, and can hang."""

    def __init__(self) -> None:
        self.got: list[tuple[str, str, str, str]] = []
        self.why: str | None = None
        self.free = threading.Event()
        self.free.set()

    def __call__(self, url: str, level: str, title: str, text: str) -> str | None:
        self.got.append((url, level, title, text))
        assert self.free.wait(ASK_S)
        return self.why


class Desk:
    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.persistence = Handle("persistence", clock)
        self.actor: Hosted = None  # type: ignore[assignment]

    def alert(self, message: str, level: str = "warning", key: str = "", account: str = "A") -> None:
        notice = Notice(level, "store", message, key or message, {"path": "x"})
        self.actor.handle.tell(Alert(self.clock.wall(), account, notice))

    def tick(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.actor.handle.tell(Tick(Now(self.clock.wall(), self.clock.mono())))
        self.actor.settle()

    def lines(self) -> dict[str, dict[str, object]]:
        """The alerts as history will show them, by message: the last record of an id counts."""
        records = [told for told in self.persistence.waiting() if isinstance(told, Record)]
        assert all(record.kind is HistoryKind.ALERT for record in records)
        by_id = {record.id: record.body for record in records}
        return {str(body["message"]): body for body in by_id.values()}

    def outcome(self, message: str) -> object:
        return self.lines().get(message, {}).get("outcome")

    def wait_outcome(self, message: str, outcome: object) -> None:
        wait_for(lambda: self.outcome(message) == outcome, ASK_S)


@contextmanager
def desk(
    *given: Target, deliver: Deliver = by_apprise, stored: tuple[StoredAlert, ...] = ()
) -> Iterator[Desk]:
    clock = ManualClock(NOW)
    it = Desk(clock)

    def factory(kept: NoticesState | None) -> NoticesActor:
        known = kept if kept is not None else first_state(given, stored, clock.mono())
        return NoticesActor(known, given, it.persistence, clock, deliver)

    with Hosted("notices", factory, clock) as it.actor:
        yield it


ONE = Target("json://127.0.0.1:9/a", "info")
TWO = Target("xml://127.0.0.1:9/b", "error")


def test_every_alert_is_recorded_where_nobody_is_to_be_told() -> None:
    with desk() as it:
        it.alert("the disk is full", "critical")
        it.actor.settle()

        assert it.lines()["the disk is full"] == {
            "level": "critical",
            "component": "store",
            "message": "the disk is full",
            "data": {"path": "x"},
            "outcome": "recorded; no target wants it",
        }


def test_an_alert_is_recorded_first_and_its_outcome_when_it_is_known() -> None:
    service = Messages()
    service.free.clear()
    with desk(ONE, deliver=service) as it:
        it.alert("the disk is full")
        wait_for(lambda: len(service.got) == 1)
        assert it.outcome("the disk is full") == "waiting"

        service.free.set()
        it.wait_outcome("the disk is full", "sent")


def test_a_refusal_is_the_outcome() -> None:
    service = Messages()
    service.why = "the service did not accept it"
    with desk(ONE, deliver=service) as it:
        it.alert("x")

        it.wait_outcome("x", "failed: the service did not accept it")


def test_each_target_gets_what_it_wants_and_has_its_own_outcome() -> None:
    service = Messages()
    with desk(ONE, TWO, deliver=service) as it:
        it.alert("small", "info")
        it.wait_outcome("small", "sent")
        it.tick(GAP_S)
        it.alert("great", "error")
        it.wait_outcome("great", "json: sent, xml: sent")

        assert [url for url, *_ in service.got] == [ONE.url, ONE.url, TWO.url]


def test_a_bad_minute_is_one_message_more_and_not_a_hundred() -> None:
    service = Messages()
    with desk(ONE, deliver=service) as it:
        it.alert("first")
        it.wait_outcome("first", "sent")
        for number in range(22):
            it.alert(f"more {number}")
        it.actor.settle()
        assert len(service.got) == 1

        it.tick(GAP_S)
        it.wait_outcome("more 21", "sent")
        assert len(service.got) == 2
        assert service.got[1][3].endswith("(12 more)")
        assert len(it.lines()) == 23


def test_the_same_key_again_is_counted_and_not_sent() -> None:
    service = Messages()
    with desk(ONE, deliver=service) as it:
        for _ in range(5):
            it.alert("again", key="k")
        it.alert("again elsewhere", key="k", account="B")
        it.wait_outcome("again", "sent")
        it.tick(GAP_S)
        it.wait_outcome("again elsewhere", "sent")

        assert it.lines()["again"]["repeats"] == 4
        assert sum("again\n" in f"{text}\n" for *_, text in service.got) == 1
        it.tick(60.0)
        it.tick(0.0)
        it.alert("again", key="k")
        wait_for(lambda: sum("again\n" in f"{text}\n" for *_, text in service.got) == 2)


def test_a_target_that_hangs_holds_up_neither_the_actor_nor_the_other_target() -> None:
    stuck, quick = Messages(), Messages()
    stuck.free.clear()

    def deliver(url: str, level: str, title: str, text: str) -> str | None:
        return (stuck if url == ONE.url else quick)(url, level, title, text)

    with desk(ONE, TWO, deliver=deliver) as it:
        it.alert("one", "error")
        it.wait_outcome("one", "json: waiting, xml: sent")
        it.tick(ANSWER_S)
        it.wait_outcome("one", "json: failed: no answer in time, xml: sent")
        it.alert("two", "critical")
        it.wait_outcome("two", "json: waiting, xml: sent")

        assert len(stuck.got) == 1
        it.tick(ABANDON_S)
        wait_for(lambda: len(stuck.got) == 2)
        stuck.free.set()
        it.wait_outcome("two", "json: sent, xml: sent")


def test_a_crash_sends_again_what_may_not_have_been_sent() -> None:
    service = Messages()
    service.free.clear()
    with desk(ONE, deliver=service) as it:
        it.alert("important")
        wait_for(lambda: len(service.got) == 1)
        it.actor.crash()
        it.tick(GAP_S)
        wait_for(lambda: len(service.got) == 2)
        service.free.set()

        it.wait_outcome("important", "sent")


def test_new_targets_are_used_from_then_on() -> None:
    service = Messages()
    with desk(ONE, deliver=service) as it:
        it.alert("before")
        it.wait_outcome("before", "sent")
        it.actor.handle.tell(UseTargets((Target("form://127.0.0.1:9/c", "info"),)))
        it.alert("after")
        it.wait_outcome("after", "sent")

        assert service.got[1][0] == "form://127.0.0.1:9/c"
        it.actor.handle.tell(UseTargets(()))
        it.alert("nobody")
        it.wait_outcome("nobody", "recorded; no target wants it")


@pytest.mark.parametrize(
    ("given", "answer"),
    [((), ()), ((ONE,), ("json sent",)), ((ONE, TWO), ("json sent", "xml sent"))],
)
def test_a_test_reaches_every_target_and_is_answered(
    given: tuple[Target, ...], answer: tuple[str, ...]
) -> None:
    with desk(*given, deliver=Messages()) as it:
        tried = it.actor.handle.ask(TestAlerts(), ASK_S).result()

        assert tuple(f"{one.to} {one.outcome}" for one in tried) == answer
        assert all(one.sent for one in tried)


def test_a_target_that_does_not_take_the_test_is_told_apart() -> None:
    service = Messages()
    service.why = "the service did not accept it"
    with desk(ONE, deliver=service) as it:
        tried = it.actor.handle.ask(TestAlerts(), ASK_S).result()

        assert [(one.to, one.outcome, one.sent) for one in tried] == [
            ("json", "failed: the service did not accept it", False)
        ]


# ------------------------------------------------------------------ through apprise, on loopback

type Reply = Callable[[http.server.BaseHTTPRequestHandler], None]


@contextmanager
def service(answer: Reply) -> Iterator[tuple[int, list[object]]]:
    got: list[object] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            answer(self)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server.server_address[1], got
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def says(code: int) -> Reply:
    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(code)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


@pytest.mark.parametrize(("code", "outcome"), [(200, "sent"), (500, "failed: the service did not accept it")])
def test_a_real_service_is_told_and_believed(code: int, outcome: str) -> None:
    with service(says(code)) as (port, got), desk(Target(f"json://127.0.0.1:{port}/x", "info")) as it:
        it.alert("the disk is full", "critical")
        it.wait_outcome("the disk is full", outcome)

        assert len(got) == 1
        assert isinstance(got[0], dict)
        assert got[0]["title"] == "riskd: critical"
        assert "the disk is full" in got[0]["message"]


def test_a_real_server_that_hangs_harms_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with desk(Target(f"json://127.0.0.1:{port}/x", "info")) as it:
            it.alert("x")
            it.actor.settle()
            it.tick(ANSWER_S)

            it.wait_outcome("x", "failed: no answer in time")


def test_an_address_that_no_service_knows_is_an_outcome() -> None:
    with desk(Target("nonsense", "info")) as it:
        it.alert("x")

        it.wait_outcome("x", "failed: the address is not one that apprise understands")


def test_targets_come_from_the_configuration_with_their_secrets() -> None:
    written = {
        "gateway": {"kind": "simulator"},
        "accounts": "all",
        "rules": {"max_contracts": {"limit": 5}},
        "alerts": [{"to": {"env": "MY_URL"}, "level": "error", "only": ["lockout"]}],
    }

    found = targets(settings_from(written).alerts, {"MY_URL": "json://127.0.0.1/secret-word"})

    assert found == (Target("json://127.0.0.1/secret-word", "error", ("lockout",)),)
    assert found[0].service == "json"


def test_no_address_of_a_target_is_recorded() -> None:
    service = Messages()
    service.why = "refused"
    with desk(Target("json://127.0.0.1/very-secret-token", "info"), deliver=service) as it:
        it.alert("x")
        it.wait_outcome("x", "failed: refused")

        assert "very-secret-token" not in repr(it.persistence.waiting())


# ---------------------------------------------------------------------------------- after a restart


def stored(message: str, outcome: str, key: str = "lockout/x") -> StoredAlert:
    at = NOW - timedelta(minutes=5)
    notice = Notice("warning", "lockout", message, key)
    line = f"alert/PRAC-V2-1001/{key}/{instant_text(at)}"
    return StoredAlert(line, Alert(at, "PRAC-V2-1001", notice), outcome)


def told_again(it: Desk, key: str) -> None:
    notice = Notice("warning", "lockout", "locked again", key)
    it.actor.handle.tell(Alert(NOW, "PRAC-V2-1001", notice, True))
    it.actor.settle()


@pytest.mark.parametrize(("key", "heard"), [("lockout/x", False), ("lockout/y", True)])
def test_what_was_told_before_the_restart_is_not_told_again_and_what_was_lost_is(
    key: str, heard: bool
) -> None:
    with desk(stored=(stored("locked", "sent"),)) as it:
        told_again(it, key)

        assert ("locked again" in it.lines()) is heard


def test_told_again_long_after_is_still_known_also_by_the_next_incarnation() -> None:
    with desk() as it:
        told_again(it, "lockout/x")
        it.tick(3600)
        it.actor.crash()
        it.tick(1)
        told_again(it, "lockout/x")

        records = [told for told in it.persistence.waiting() if isinstance(told, Record)]
        assert len({record.id for record in records}) == 1


def test_an_alert_on_its_way_when_the_daemon_was_killed_is_sent_by_the_next() -> None:
    service = Messages()
    lost, sent = stored("locked", "json: waiting", "lockout/a"), stored("old", "sent", "lockout/b")
    with desk(ONE, deliver=service, stored=(lost, sent)) as it:
        it.wait_outcome("locked", "sent")

        (record, *_) = [told for told in it.persistence.waiting() if isinstance(told, Record)]
        assert record.id == lost.line, "the same line of history"
        assert [text for *_, text in service.got] == [text for *_, text in service.got if "old" not in text]
