"""The timers actor: ticks on time, resets once, and a clock that nobody can play with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import msgspec
import pytest

from actors.board import Board
from actors.clock import ManualClock
from actors.connection.port import DropLink
from actors.messages import (
    AccountId,
    Alert,
    DayReset,
    GatewaySeen,
    HistoryKind,
    ReadAccount,
    Record,
    StoreMeta,
    Tick,
)
from actors.persistence import keys
from actors.timers.actor import (
    Beat,
    Guard,
    Neighbours,
    Registry,
    Subscribe,
    TimersActor,
    TimersState,
    TimersView,
    Unsubscribe,
    UseCalendar,
    first_state,
)
from actors.timers.deadlines import ArmDue
from supervisor.handle import Handle
from tests.actors.hosting import Hosted
from tests.actors.timers.calendars import calendar

A = AccountId(1001)
NAME = "PRAC-V2-1001"
EVE = datetime(2026, 3, 2, 22, 59, 50, tzinfo=UTC)
"""Ten seconds before the reset."""
RESET = datetime(2026, 3, 2, 23, 0, tzinfo=UTC)
DONE = datetime(2026, 3, 1, 23, 0, tzinfo=UTC)
"""The reset before."""


class Desk:
    def __init__(self, clock: ManualClock) -> None:
        self.clock, self.board = clock, Board()
        self.persistence, self.notices, self.connection, self.account = (
            Handle(name, clock) for name in ("persistence", "notices", "connection", f"account/{NAME}")
        )
        self.registry = Registry()
        self.actor: Hosted = None  # type: ignore[assignment]

    def tell(self, *messages: object) -> None:
        for message in messages:
            self.actor.handle.tell(message)
        self.actor.settle()

    def pass_time(self, seconds: float) -> None:
        """Time goes by in beats."""
        for _ in range(round(seconds / 0.05)):
            self.clock.advance(0.05)
            self.tell(Beat())

    def guard(self, last_reset: datetime | None = DONE) -> None:
        self.tell(Subscribe(self.account, A), Guard(A, NAME, last_reset))

    def hear_gateway(self, ahead: float = 0.0) -> None:
        self.tell(GatewaySeen(self.clock.wall() + timedelta(seconds=ahead), self.clock.mono()))

    def ticks(self) -> list[Tick]:
        return [told for told in self.account.waiting() if isinstance(told, Tick)]

    def resets(self) -> list[DayReset]:
        return [told for told in self.account.waiting() if isinstance(told, DayReset)]

    def records(self) -> list[Record]:
        return [told for told in self.persistence.waiting() if isinstance(told, Record)]

    def stored(self, key: str) -> bytes | None:
        metas = [told for told in self.persistence.waiting() if isinstance(told, StoreMeta)]
        found = [told.body for told in metas if told.key == key]
        return found[-1] if found else None

    def alerts(self) -> list[str]:
        return [told.notice.message for told in self.notices.waiting() if isinstance(told, Alert)]

    def view(self) -> TimersView:
        view = self.board.read(("timers",), TimersView)
        assert view is not None
        return view


@contextmanager
def desk(start: datetime = EVE, gateway_time: bytes | None = None, boot: str = "boot 1") -> Iterator[Desk]:
    clock = ManualClock(start)
    it = Desk(clock)
    first = first_state(calendar(), gateway_time, boot)
    to = Neighbours(it.persistence, it.notices, it.connection)

    def factory(kept: TimersState | None) -> TimersActor:
        return TimersActor(kept, first, it.registry, to, clock, it.board, boot)

    with Hosted("timers", factory, clock) as it.actor:
        yield it


def test_a_tick_comes_once_a_second() -> None:
    with desk(EVE - timedelta(hours=1)) as it:
        it.guard()
        before = len(it.ticks())
        it.pass_time(5.0)

        ticks = it.ticks()[before:]
        assert 4 <= len(ticks) <= 6
        gaps = [(b.now.mono - a.now.mono) for a, b in pairwise(ticks)]
        assert all(0.9 <= gap <= 1.1 for gap in gaps)


def test_at_the_reset_the_account_gets_its_day_and_then_a_tick_within_a_beat() -> None:
    with desk() as it:
        it.guard()
        it.pass_time(11.0)

        assert it.resets() == [DayReset(date(2026, 3, 3), RESET)]
        after = it.account.waiting()[it.account.waiting().index(it.resets()[0]) + 1]
        assert isinstance(after, Tick)
        assert timedelta(0) <= after.now.wall - RESET <= timedelta(seconds=0.06)


def test_a_reset_is_recorded_and_remembered() -> None:
    with desk() as it:
        it.guard()
        it.pass_time(11.0)

        (record,) = it.records()
        assert record.id == f"reset/{NAME}/2026-03-03"
        assert record.kind is HistoryKind.RESET
        assert record.body == {"day": "2026-03-03", "cause": "scheduled"}
        assert it.stored(keys.last_reset(A)) == b"2026-03-02T23:00:00.000000Z"


def test_a_second_beat_on_the_same_day_resets_nothing() -> None:
    with desk() as it:
        it.guard()
        it.pass_time(15.0)
        it.tell(UseCalendar(calendar()), Beat())
        it.pass_time(2.0)

        assert len(it.resets()) == 1


def test_a_reset_missed_while_down_happens_as_soon_as_the_account_is_guarded() -> None:
    with desk(RESET + timedelta(hours=3)) as it:
        it.guard(DONE)

        assert it.resets() == [DayReset(date(2026, 3, 3), RESET, missed=True)]
        assert it.account.waiting()[0] == it.resets()[0]
        assert it.records()[0].body["cause"] == "missed"


def test_an_account_guarded_for_the_first_time_gets_no_reset_and_the_next_one() -> None:
    with desk() as it:
        it.guard(None)
        assert it.resets() == []
        assert it.stored(keys.last_reset(A)) == b"2026-03-01T23:00:00.000000Z"

        it.pass_time(11.0)
        assert len(it.resets()) == 1


@pytest.mark.parametrize("crashes", [1, 4])
def test_no_crash_repeats_or_loses_a_reset(crashes: int) -> None:
    with desk() as it:
        it.guard()
        for _ in range(crashes):
            it.actor.crash()
        it.guard()
        it.pass_time(11.0)
        for _ in range(crashes):
            it.actor.crash()
        it.guard()
        it.pass_time(2.0)

        assert len(it.resets()) == 1


def test_due_instants_wake_only_who_asked_and_survive_a_crash() -> None:
    with desk(EVE - timedelta(hours=1)) as it:
        rule = Handle("rule", it.clock)
        due = it.clock.wall() + timedelta(seconds=3.5)
        it.tell(ArmDue(rule, due, "grace"))
        it.actor.crash()
        it.pass_time(3.45)
        assert rule.waiting() == []

        it.pass_time(0.1)
        (tick,) = rule.waiting()
        assert isinstance(tick, Tick)
        assert timedelta(0) <= tick.now.wall - due <= timedelta(seconds=0.06)
        it.pass_time(5.0)
        assert len(rule.waiting()) == 1


def test_an_account_no_longer_guarded_gets_nothing_any_more() -> None:
    with desk() as it:
        it.guard()
        it.tell(Unsubscribe(A))
        before = len(it.account.waiting())
        it.pass_time(12.0)

        assert len(it.account.waiting()) == before
        assert it.records() == []


@pytest.mark.parametrize(
    ("seconds", "asked"),
    [(3_600.0, [DropLink, ReadAccount]), (3.0, [ReadAccount]), (-3_600.0, [ReadAccount])],
)
def test_a_clock_that_is_set_is_told_and_the_accounts_are_read_again(
    seconds: float, asked: list[type]
) -> None:
    """Forward by more than a moment, the machine may have slept: then on new connections only."""
    with desk(EVE - timedelta(hours=5)) as it:
        it.guard()
        it.hear_gateway()
        it.pass_time(1.0)
        it.clock.jump(seconds)
        it.pass_time(1.0)

        assert len(it.alerts()) >= 1
        assert f"{abs(seconds)} s" in it.alerts()[0]
        assert [type(told) for told in it.connection.waiting()] == asked
        assert (it.view().jumps, it.view().jump_mono is not None) == (1, True)


def test_a_clock_that_is_a_day_slow_is_shown_for_as_long_as_it_is() -> None:
    with desk(EVE - timedelta(hours=5)) as it:
        it.guard()
        it.hear_gateway(ahead=86_400.0)
        it.pass_time(1.0)
        assert it.view().behind_s == pytest.approx(86_400.0, abs=2.0)
        it.clock.jump(86_400.0)
        it.pass_time(1.0)
        assert it.view().behind_s == 0.0


def test_setting_the_clock_forward_brings_no_reset_early() -> None:
    with desk(EVE - timedelta(hours=5)) as it:
        it.guard()
        it.hear_gateway()
        it.clock.jump(6 * 3_600)
        it.pass_time(2.0)

        assert it.resets() == []
        assert all(tick.now.wall < RESET for tick in it.ticks())


def test_setting_the_clock_back_delays_no_reset() -> None:
    with desk() as it:
        it.guard()
        it.hear_gateway()
        it.clock.jump(-3_600)
        it.pass_time(11.0)

        assert len(it.resets()) == 1


def test_after_a_restart_of_the_machine_the_reset_waits_for_the_gateway() -> None:
    with desk() as before:
        before.guard()
        before.hear_gateway()
        before.pass_time(1.0)
        saved = before.stored(keys.GATEWAY_TIME)
    assert saved is not None

    with desk(RESET + timedelta(hours=1), saved, boot="boot 2") as it:
        it.guard()
        it.pass_time(5.0)
        assert it.resets() == []
        assert not it.view().contact

        it.hear_gateway()
        assert [reset.missed for reset in it.resets()] == [True]
        assert it.view().contact


def test_after_a_restart_of_the_program_it_does_not_wait() -> None:
    with desk() as before:
        before.guard()
        before.hear_gateway()
        before.pass_time(1.0)
        saved = before.stored(keys.GATEWAY_TIME)
        mono = before.clock.mono()
    assert saved is not None

    with desk(EVE, saved) as it:
        it.clock.advance(mono - it.clock.mono() + 600.0)
        it.guard()
        it.tell(Beat())
        assert len(it.resets()) == 1


def test_standing_still_is_told() -> None:
    with desk(EVE - timedelta(hours=5)) as it:
        it.guard()
        it.clock.advance(40.0)
        it.tell(Beat())

        assert "nothing ran for 40.0 s" in it.alerts()[0]


def test_a_wall_clock_behind_the_gateway_is_told_once() -> None:
    with desk(EVE - timedelta(hours=5)) as it:
        for _ in range(3):
            it.tell(GatewaySeen(it.clock.wall() + timedelta(seconds=100), it.clock.mono()))

        assert it.alerts() == ["the wall clock is 100 s behind the gateway; set it"]


def test_the_view_shows_the_next_edge_and_what_is_armed() -> None:
    with desk() as it:
        it.tell(ArmDue(it.account, RESET + timedelta(days=1), "x"))
        it.pass_time(1.1)

        view = it.view()
        assert view.next_edge == RESET
        assert view.armed == 1
        assert view.holidays_known
        assert msgspec.json.encode(view)
