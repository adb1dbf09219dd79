"""The trader's own worst hour: what loosens has to be asked for in time, and never happens by itself."""

from __future__ import annotations

import pytest

from supervisor.protocol import DoReset, DoStop, DoUnlock, Exit, Refused
from tests.scenarios.desk import A, desk

LOSS = {"daily_realized_loss": {"limit": -500}}
HALF_AN_HOUR = {"loosen_after": "30m"}


def refused(d, command: str, request: object) -> str:
    with pytest.raises(Refused) as error:
        d.ask(command, request)
    assert error.value.code is Exit.COOLING_OFF
    return error.value.hint


@pytest.mark.parametrize(
    ("command", "request_"),
    [
        pytest.param("down", DoStop(leave_open=True), id="down"),
        pytest.param("unlock", DoUnlock(A, "daily_realized_loss"), id="unlock"),
        pytest.param("reset", DoReset(A), id="reset"),
    ],
)
def test_what_loosens_is_refused_first_and_names_the_time(command: str, request_: object) -> None:
    """Given loosen_after 30m and a lock, when it is asked for, then exit 7 names the time."""
    with desk(LOSS, tamper=HALF_AN_HOUR) as d:
        d.book(-600)
        d.until(d.lockouts, "locked")
        assert "16:30:00" in refused(d, command, request_)
        d.advance(20 * 60)
        assert "16:30:00" in refused(d, command, request_)
        assert "daily_realized_loss" in d.lockouts()


def test_a_reset_is_accepted_within_an_hour_of_its_time_and_only_once() -> None:
    """Given it was asked for at 10:00, then at 10:30 it is carried out, and the next one waits again."""
    with desk(LOSS, tamper=HALF_AN_HOUR) as d:
        d.book(-100)
        d.until(lambda: d.status(A)["realized"] == "-100.00", "counted")
        refused(d, "reset", DoReset(A))
        d.advance(30 * 60)
        d.ask("reset", DoReset(A))
        d.until(lambda: d.status(A)["realized"] == "0.00", "zero")
        refused(d, "reset", DoReset(A))


def test_a_time_that_was_let_pass_has_to_be_waited_for_again() -> None:
    """Given it was asked for at 10:00, then after 11:30 it is refused and the time begins anew."""
    with desk(LOSS, tamper=HALF_AN_HOUR) as d:
        refused(d, "reset", DoReset(A))
        d.advance(91 * 60)
        assert "18:01:00" in refused(d, "reset", DoReset(A))
