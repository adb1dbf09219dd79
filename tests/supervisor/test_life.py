"""One run of the guard: when its start is through, and that the first reason for its end is the one told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from actors.clock import ManualClock
from actors.connection.link import NOT_TRIED, LinkView
from actors.messages import LinkState
from supervisor.life import CANNOT_GO_ON, Ending, Life, is_through
from supervisor.phases import Phases

NOW = datetime(2026, 3, 4, 16, 0, tzinfo=UTC)


def link(state: LinkState, reason: str = "", *, since_s: float = 0.0, auth_failed: bool = False) -> LinkView:
    return LinkView(state, NOW - timedelta(seconds=since_s), 1, reason, auth_failed, 0.0, 0.0, None, 0, ())


@pytest.mark.parametrize(
    ("view", "introduced", "named", "through"),
    [
        (link(LinkState.LIVE), True, True, True),
        (link(LinkState.LIVE), False, True, False),
        (link(LinkState.DOWN, NOT_TRIED), False, False, False),
        (link(LinkState.DOWN, "no route to host"), False, False, True),
        (link(LinkState.DOWN, "no route to host"), False, True, False),
        (link(LinkState.DOWN, "wrong key", auth_failed=True), False, False, False),
        (link(LinkState.BLIND, since_s=10.0), True, True, False),
        (link(LinkState.BLIND, since_s=10.1), True, True, True),
        (link(LinkState.BLIND, since_s=10.1), False, True, False),
    ],
)
def test_a_start_is_through_once_it_guards_or_is_blind_for_good(
    view: LinkView, introduced: bool, named: bool, through: bool
) -> None:
    assert is_through(view, NOW, introduced=introduced, named=named) is through


def life(first_start: bool = True) -> Life:
    return Life(ManualClock(NOW), Phases(0.0, "making the parts"), first_start=first_start, on_phase=None)


def test_the_first_reason_to_end_is_the_one_told() -> None:
    run = life()

    run.end(Ending(0, "asked to"))
    run.must_restart("a part was given up")

    assert run.ending == Ending(0, "asked to")
    assert run.over.is_set()


def test_what_only_a_new_process_cures_ends_this_one_as_a_failure() -> None:
    run = life()

    run.must_restart("a part was given up")

    assert run.ending == Ending(CANNOT_GO_ON, "a part was given up")


def test_only_a_first_start_that_does_not_guard_yet_may_be_refused() -> None:
    first, restarted = life(), life(first_start=False)
    assert (first.may_refuse, restarted.may_refuse) == (True, False)

    first.become_ready()

    assert not first.may_refuse
