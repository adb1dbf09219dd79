"""The connection actor: what it hands to the loop, what it records, and that a crash costs nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from actors.board import Board
from actors.clock import SystemClock
from actors.connection.actor import STALLED_AFTER, ConnectionActor
from actors.connection.budget import BudgetView
from actors.connection.link import LinkView
from actors.connection.loop import GatewayLoop
from actors.connection.options import Options, Outlets
from actors.connection.port import DropLink, GuardAccount, UnguardAccount
from actors.messages import (
    Alert,
    Call,
    Called,
    CallKind,
    Filled,
    HistoryKind,
    LinkChanged,
    LinkState,
    Now,
    Outcome,
    Quoted,
    ReadAccount,
    ReadPrice,
    Record,
    Tick,
    WatchContracts,
)
from tests.actors.connection.bench import A
from tests.actors.connection.fake_gateway import MNQ, FakeGateway, yesterday
from tests.actors.connection.inbox import Inbox
from tests.actors.hosting import Hosted, wait_for

CLOCK = SystemClock()


@dataclass
class Stage:
    hosted: Hosted
    fake: FakeGateway
    loop: GatewayLoop
    board: Board
    account: Inbox
    enforcement: Inbox
    others: dict[str, Inbox]

    def guard(self) -> None:
        self.hosted.handle.tell(GuardAccount(A, self.account, self.enforcement))
        self.account.wait(LinkChanged, lambda link: link.state is LinkState.LIVE)


@contextmanager
def staged() -> Iterator[Stage]:
    """A connection actor at its real address, on a gateway in memory."""
    others = {name: Inbox(name) for name in ("tree", "persistence", "notices", "timers")}
    board, fake = Board(), FakeGateway(CLOCK)
    parts: list[tuple[GatewayLoop, Outlets]] = []

    def factory(kept: object | None) -> ConnectionActor:
        loop, outlets = parts[0]
        return ConnectionActor(kept, loop, outlets, CLOCK)

    hosted = Hosted("connection", factory)
    outlets = Outlets(connection=hosted.handle, board=board, **others)
    loop = GatewayLoop(lambda: fake, Options(yesterday, reconcile_every=3600.0), outlets, CLOCK)
    parts.append((loop, outlets))
    try:
        with hosted:
            yield Stage(hosted, fake, loop, board, Inbox("account"), Inbox("enforcement"), others)
    finally:
        assert loop.close()


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged() as made:
        yield made


def test_actor_hands_its_messages_to_the_loop(stage: Stage) -> None:
    stage.guard()
    tell = stage.hosted.handle.tell
    stage.fake.trade(2)
    stage.account.wait(Filled)
    tell(Call("receipt/1", A, CallKind.CLOSE, MNQ))
    assert stage.enforcement.wait(Called).outcome is Outcome.CONFIRMED
    tell(WatchContracts(A, (MNQ,)))
    tell(ReadPrice(MNQ))
    assert stage.account.wait_latest(MNQ, Quoted).last == 19_000.0
    wait_for(lambda: stage.fake.pairs[-1].contracts == {MNQ})
    stage.fake.asked.clear()
    tell(ReadAccount(A, "asked", verify=True))
    wait_for(lambda: stage.fake.asked == ["orders", "positions"])
    tell(UnguardAccount(A))
    wait_for(lambda: stage.fake.pairs[-1].accounts == set())


def test_actor_records_every_move_of_the_link_once(stage: Stage) -> None:
    stage.guard()
    stage.hosted.handle.tell(DropLink("asked for"))
    records = stage.others["persistence"]
    records.wait(Record, lambda record: record.body["generation"] == 2)
    moves = [(record.body["state"], record.body["generation"]) for record in records.all(Record)]
    assert moves[-3:] == [("live", 1), ("blind", 1), ("live", 2)]
    assert {record.kind for record in records.all(Record)} == {HistoryKind.LINK}
    assert len({record.id for record in records.all(Record)}) == len(moves)
    assert records.all(Record)[-2].body["reason"] == "asked for"


def test_crash_of_the_actor_costs_neither_the_link_nor_a_call(stage: Stage) -> None:
    stage.guard()
    stage.account.clear()
    stage.hosted.crash()
    stage.fake.trade(1)
    stage.account.wait(Filled)
    stage.hosted.handle.tell(Call("receipt/1", A, CallKind.CLOSE, MNQ))
    assert stage.enforcement.wait(Called).code == 0
    assert stage.account.all(LinkChanged) == []
    assert len(stage.fake.pairs) == 1


def test_link_and_budget_are_on_the_board(stage: Stage) -> None:
    stage.guard()
    wait_for(lambda: _view(stage).state is LinkState.LIVE)
    view = _view(stage)
    assert (view.generation, view.guarded, view.auth_failed, view.malformed) == (1, (A,), False, 0)
    assert view.last_read_mono > 0
    assert view.token_age_s is not None
    assert stage.board.read(("budget",), BudgetView) is not None


def test_loop_that_does_not_beat_is_shown_as_blind_and_is_a_critical_alert(stage: Stage) -> None:
    stage.guard()
    late = Now(CLOCK.wall(), CLOCK.mono() + STALLED_AFTER + 10)
    stage.hosted.handle.tell(Tick(late))
    stage.hosted.handle.tell(Tick(late))
    alert = stage.others["notices"].wait(Alert)
    assert (alert.notice.level, alert.notice.key) == ("critical", "gateway-loop-stalled")
    stage.hosted.settle()
    assert len(stage.others["notices"].all(Alert)) == 1


def test_message_that_is_none_of_its_own_is_a_crash_not_a_silence(stage: Stage) -> None:
    stage.hosted.handle.tell("nonsense")
    wait_for(lambda: len(stage.hosted.ends) >= 1)
    assert "cannot handle str" in stage.hosted.ends[0]


def _view(stage: Stage) -> LinkView:
    view = stage.board.read(("link",), LinkView)
    assert view is not None
    return view
