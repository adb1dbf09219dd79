"""What the daemon makes of its watchdog: look by look, in plain seconds."""

from __future__ import annotations

from supervisor.anchor import LONGEST_PAUSE_S, LOOK_S, UNIT_S, Look, Step, View, judge


class Watched:
    """The daemon's eye on a watchdog; well and beating unless said otherwise."""

    def __init__(self) -> None:
        self.now = 100.0
        self.view = View(self.now, moved_at=self.now)
        self.counter = 0

    def look(
        self, after: float = LOOK_S, *, alive: bool = True, beats: bool = True, suspended: bool = False
    ) -> Step:
        self.now += after
        self.counter += beats
        self.view, step = judge(self.view, Look(self.now, alive, suspended, self.counter))
        return step

    def looks(self, seconds: float, *, alive: bool = True, beats: bool = True) -> list[Step]:
        steps = [self.look(alive=alive, beats=beats) for _ in range(round(seconds / LOOK_S))]
        return [step for step in steps if step is not Step.WAIT]


def test_beating_watchdog_is_left_alone() -> None:
    assert Watched().looks(60) == []


def test_dead_watchdog_is_started_at_once_and_given_its_time() -> None:
    watched = Watched()
    watched.looks(5)

    assert watched.look(alive=False) is Step.START
    assert watched.looks(4.5, alive=False) == []
    assert watched.looks(1, alive=False) == [Step.START]


def test_watchdog_that_lasted_is_started_at_once_every_time() -> None:
    watched = Watched()
    for _ in range(10):
        watched.looks(1.5)
        assert watched.look(alive=False) is Step.START


def test_watchdog_that_never_lasts_is_started_after_growing_pauses() -> None:
    watched = Watched()
    watched.looks(5)
    waits = []
    for _ in range(8):
        began = watched.now
        while watched.look(alive=False) is not Step.START:
            pass
        waits.append(round(watched.now - began, 3))
        watched.look()

    assert waits == sorted(waits)
    assert LONGEST_PAUSE_S <= waits[-1] <= LONGEST_PAUSE_S + 3 * LOOK_S


def test_suspended_watchdog_is_killed_after_a_second() -> None:
    watched = Watched()
    watched.looks(5)

    assert {watched.look(suspended=True) for _ in range(4)} == {Step.WAIT}
    assert [watched.look(suspended=True) for _ in range(3)][-1] is Step.KILL


def test_short_suspension_is_forgiven() -> None:
    watched = Watched()
    for _ in range(20):
        assert watched.look(suspended=True) is Step.WAIT
        assert watched.look() is Step.WAIT


def test_watchdog_that_stands_still_is_killed() -> None:
    watched = Watched()
    watched.looks(5)

    assert watched.looks(4.5, beats=False) == []
    assert watched.looks(1, beats=False)[:1] == [Step.KILL]


def test_late_look_proves_nothing_against_the_watchdog() -> None:
    watched = Watched()
    watched.looks(5)

    assert watched.look(after=600, beats=False) is Step.WAIT
    assert watched.look(after=600, suspended=True) is Step.WAIT


def test_under_a_unit_a_dead_watchdog_is_the_units_first() -> None:
    watched = Watched()
    watched.view = View(watched.now, moved_at=watched.now, hold_s=UNIT_S)
    watched.looks(5)

    assert watched.looks(UNIT_S - 2 * LOOK_S, alive=False) == []
    assert watched.looks(1) == [], "the unit has brought it back"
    assert watched.looks(UNIT_S - 2 * LOOK_S, alive=False) == []
    assert watched.looks(1, alive=False) == [Step.START], "the unit has not"
