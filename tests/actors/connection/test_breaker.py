"""The circuit breaker of a read endpoint: what keeps failing is left alone, and asked again once a minute."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.connection.breaker import LEFT_ALONE, OPENS_AFTER, PROBE_AFTER, Breaker
from actors.connection.budget import Lane

PLAYED = st.lists(st.tuples(st.floats(0.0, 40.0), st.booleans(), st.booleans()), max_size=60)
"""Seconds since the last request, whether it asks the breaker, whether it is answered."""


def played(steps: list[tuple[float, bool, bool]]) -> tuple[Breaker, list[tuple[float, bool, bool]], float]:
    """The breaker afterwards, the requests that went out, and the time."""
    breaker, sent, now = Breaker("Trade/search"), list[tuple[float, bool, bool]](), 100.0
    for pause, asks, answered in steps:
        now += pause
        if asks and not breaker.admits(now):
            continue
        sent.append((now, asks, answered))
        if answered:
            breaker.answered_at(now)
        else:
            breaker.failed(now)
    return breaker, sent, now


@given(PLAYED)
def test_opens_with_the_fifth_failure_in_a_row_and_closes_with_any_answer(
    steps: list[tuple[float, bool, bool]],
) -> None:
    breaker, sent, _ = played(steps)
    in_a_row = 0
    for _, _, answered in sent:
        in_a_row = 0 if answered else in_a_row + 1
    assert breaker.open is (in_a_row >= OPENS_AFTER)


@given(PLAYED)
def test_while_open_at_most_one_request_a_minute_goes_out_of_those_that_ask(
    steps: list[tuple[float, bool, bool]],
) -> None:
    _, sent, _ = played(steps)
    in_a_row, opened_or_probed = 0, float("-inf")
    for at, asks, answered in sent:
        if in_a_row >= OPENS_AFTER and asks:
            assert at - opened_or_probed >= PROBE_AFTER - 1e-6
            opened_or_probed = at
        in_a_row = 0 if answered else in_a_row + 1
        if in_a_row == OPENS_AFTER:
            opened_or_probed = at


@given(PLAYED)
def test_a_probe_is_due_within_a_minute_whatever_happened(steps: list[tuple[float, bool, bool]]) -> None:
    breaker, _, now = played(steps)
    assert breaker.admits(now + PROBE_AFTER + 1e-6)


@given(PLAYED)
def test_says_since_when_and_how_old_what_is_known_from_it_is(steps: list[tuple[float, bool, bool]]) -> None:
    breaker, sent, now = played(steps)
    view = breaker.view(now)
    assert (view is not None) is breaker.open
    if view is not None:
        assert view.answered_mono == max((at for at, _, answered in sent if answered), default=None)
        assert view.since_mono <= now
        assert 0 <= view.probe_in_s <= PROBE_AFTER + 1e-6


@pytest.mark.parametrize("lane", [Lane.PROTECTIVE, Lane.LOGIN, Lane.VERIFY])
def test_calls_logins_and_what_makes_the_link_live_never_ask_it(lane: Lane) -> None:
    assert lane not in LEFT_ALONE
