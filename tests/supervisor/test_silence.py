"""Silence: told once, only in an open market, only of an account that holds something."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import msgspec
import pytest

from actors.messages import AccountSnapshot
from actors.trading_day import TradingCalendar
from config.checks import settings_from
from supervisor.silence import SILENT_S, Silence, in_session, listened
from tests.builders import Desk

NOON = datetime(2026, 3, 4, 18, tzinfo=UTC)


HOLDING = Desk().buy("MNQ", 2, 21000.0)
FLAT = msgspec.structs.replace(HOLDING, positions=())


def minutes_heard(
    moments: set[int],
    until: int,
    snapshot: AccountSnapshot | None = HOLDING,
    open_: Callable[[int], bool] = lambda minute: True,
) -> list[int]:
    """The minutes at which it is said that it is silent, when it is heard of at these."""
    state: Silence | None = None
    told, heard = list[int](), 0.0
    for minute in range(until):
        if minute in moments:
            heard = minute * 60.0
        state, silent = listened(state, snapshot, heard, minute * 60.0, in_session=open_(minute))
        told += [minute] if silent else []
    return told


def test_five_minutes_without_a_word_are_told_once() -> None:
    assert minutes_heard(set(), 30) == [5]


def test_a_word_begins_the_count_anew() -> None:
    assert minutes_heard({3, 7, 20}, 30) == [12, 25]


def test_an_account_that_holds_nothing_may_be_silent() -> None:
    assert minutes_heard(set(), 30, snapshot=FLAT) == []
    assert minutes_heard(set(), 30, snapshot=None) == []


def test_the_count_begins_when_the_market_opens() -> None:
    assert minutes_heard(set(), 30, open_=lambda minute: minute >= 10) == [15]


def test_the_figure_is_five_minutes() -> None:
    assert SILENT_S == 300


@pytest.mark.parametrize(
    ("sessions", "at", "open_"),
    [
        ({"main": ("08:30", "15:00")}, NOON, True),
        ({"main": ("08:30", "15:00")}, NOON.replace(hour=22), False),
        ({}, NOON.replace(hour=22), True),
        ({}, datetime(2026, 3, 7, 18, tzinfo=UTC), False),
        ({}, datetime(2026, 12, 25, 18, tzinfo=UTC), False),
    ],
)
def test_a_session_is_one_that_runs_else_a_day_on_which_the_exchange_trades(
    sessions: dict[str, tuple[str, str]], at: datetime, open_: bool
) -> None:
    days = ["mon", "tue", "wed", "thu", "fri"]
    document = {
        "gateway": {"kind": "simulator"},
        "accounts": "all",
        "sessions": {
            name: {"start": start, "end": end, "timezone": "America/Chicago", "days": days}
            for name, (start, end) in sessions.items()
        },
        "rules": {"max_contracts": {"limit": 5}},
    }
    calendar = TradingCalendar.of(settings_from(document))

    assert in_session(calendar, tuple(sessions), at) is open_
