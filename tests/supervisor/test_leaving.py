"""Messages left without waking anybody: served in their turn as soon as something else wakes the actor."""

from __future__ import annotations

import threading

from hypothesis import given, settings
from hypothesis import strategies as st

from actors.worker import Actor
from tests.actors.hosting import Hosted

QUIET_S = 0.05
PATIENCE_S = 5.0


class Listener(Actor):
    """Keeps what it is told, and says when the last one has come."""

    def __init__(self, seen: list[object], last: threading.Event) -> None:
        self.seen, self.last = seen, last

    def receive(self, message: object) -> None:
        self.seen.append(message)
        if message == "last":
            self.last.set()


class Desk:
    def __init__(self) -> None:
        self.seen, self.last = list[object](), threading.Event()
        self.hosted = Hosted("listener", lambda kept: Listener(self.seen, self.last))

    def until_last(self) -> list[object]:
        assert self.last.wait(PATIENCE_S), self.seen
        return self.seen


def test_what_is_left_wakes_nobody_and_is_served_before_what_comes_next() -> None:
    desk = Desk()
    with desk.hosted as actor:
        actor.handle.leave(1)
        actor.handle.leave(2)
        assert not desk.last.wait(QUIET_S)
        assert desk.seen == []
        assert actor.handle.depth == 2
        actor.handle.tell("last")
        assert desk.until_last() == [1, 2, "last"]


def test_rousing_serves_everything_that_was_left() -> None:
    desk = Desk()
    with desk.hosted as actor:
        for message in (1, 2, "last"):
            actor.handle.leave(message)
        actor.handle.rouse()
        assert desk.until_last() == [1, 2, "last"]


def test_of_what_is_left_under_a_key_only_the_newest_is_served_and_first() -> None:
    desk = Desk()
    with desk.hosted as actor:
        actor.handle.leave("in turn")
        actor.handle.leave_latest("time", 1)
        actor.handle.leave_latest("time", 2)
        actor.handle.tell("last")
        assert desk.until_last() == [2, "in turn", "last"]


def test_whoever_is_reborn_is_served_what_was_left() -> None:
    desk = Desk()
    handle = desk.hosted.handle
    handle.leave(1)
    handle.leave("last")
    with desk.hosted:
        assert desk.until_last() == [1, "last"]


def test_nobody_comes_any_more_and_what_was_left_is_a_dead_letter() -> None:
    handle = Desk().hosted.handle
    handle.leave(1)
    handle.close("over")
    handle.leave(2)
    handle.leave_latest("time", 3)
    assert [letter.message for letter in handle.dead_letters.kept] == [1, 2]
    assert handle.depth == 0


@given(st.lists(st.booleans(), max_size=40))
@settings(deadline=None, max_examples=40)
def test_nothing_is_lost_doubled_or_reordered_however_told_and_left_mix(quietly: list[bool]) -> None:
    desk = Desk()
    with desk.hosted as actor:
        for number, quiet in enumerate(quietly):
            (actor.handle.leave if quiet else actor.handle.tell)(number)
        actor.handle.tell("last")
        assert desk.until_last() == [*range(len(quietly)), "last"]
