"""What the world outside leaves to be desired, as status tells it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from actors.connection.breaker import Broken
from actors.connection.link import LinkView
from actors.connection.traffic import Traffic
from actors.messages import LinkState, Now
from actors.timers.actor import TimersView
from supervisor.outside import notes, reasons

NOON = datetime(2026, 3, 4, 18, tzinfo=UTC)
NOW = Now(NOON, 1000.0)


def timers(*, behind_s: float = 0.0, jump_mono: float | None = None) -> TimersView:
    text = None if jump_mono is None else "the wall clock went 60.0 s forward"
    return TimersView(NOON, 1000.0, NOON, True, NOON, True, 0, 0, text, jump_mono, behind_s)


def test_slow_clock_degrades_and_says_what_does_not_count() -> None:
    (reason,) = reasons(timers(behind_s=86_400.0), None, NOW)
    assert reason.code == "clock"
    assert "86400 s behind the gateway" in reason.text
    assert "Set the clock" in reason.text


@pytest.mark.parametrize(
    ("answered", "known"), [(None, "nothing is known from it"), (910.0, "what is known from it is 90 s old")]
)
def test_endpoint_left_alone_degrades_with_the_age_of_what_it_told(
    answered: float | None, known: str
) -> None:
    broken = Broken("Trade/search", 6, 940.0, answered, 12.0)
    (reason,) = reasons(timers(), Traffic((), (broken,)), NOW)
    assert reason.text == f"Trade/search failed 6 times: {known}, asked again in 12 s"
    assert (reason.code, reason.since) == ("endpoint", NOON - timedelta(seconds=60))


def test_all_well_outside_says_nothing() -> None:
    assert list(reasons(timers(), Traffic(), NOW)) == list(reasons(None, None, NOW)) == []
    assert list(notes(timers(), None, NOW)) == list(notes(None, None, NOW)) == []


@pytest.mark.parametrize(("ago_s", "shown"), [(1.0, True), (899.0, True), (901.0, False)])
def test_a_sleep_of_the_machine_is_shown_for_a_quarter_of_an_hour(ago_s: float, shown: bool) -> None:
    found = [note.code for note in notes(timers(jump_mono=1000.0 - ago_s), None, NOW)]
    assert found == (["clock_jump"] if shown else [])


def test_number_that_nobody_documented_is_noted_with_what_it_means() -> None:
    link = LinkView(LinkState.LIVE, NOON, 1, "", False, 0.0, 0.0, None, 0, (), (("type", 99, 2),))
    (note,) = notes(None, link, NOW)
    assert note.text == "2 orders had the undocumented type 99: they count as risk, never as a stop"
