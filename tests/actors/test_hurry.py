"""Who works in the background stands back for a fill, and not for ever."""

from __future__ import annotations

import pytest

from actors import hurry
from actors.hurry import TIMES, WINDOW_S


class Time:
    """A clock that waiting moves on."""

    def __init__(self, now: float) -> None:
        self.now, self.waits = now, list[float]()

    def mono(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds


@pytest.fixture(autouse=True)
def calm() -> None:
    hurry.begin(-1.0)


def test_without_a_fill_nobody_waits() -> None:
    time = Time(100.0)
    hurry.stand_back(time.mono, time.wait)
    assert time.waits == []


def test_after_a_fill_the_rest_of_its_window_is_waited_for() -> None:
    time = Time(100.0)
    hurry.begin(100.0 - WINDOW_S / 4)
    hurry.stand_back(time.mono, time.wait)
    assert time.now == pytest.approx(100.0 + WINDOW_S * 3 / 4)
    hurry.stand_back(time.mono, time.wait)
    assert len(time.waits) <= 2, "a last rest of rounding at most"


def test_fill_upon_fill_holds_nobody_for_long() -> None:
    time = Time(100.0)

    def another_fill(seconds: float) -> None:
        time.wait(seconds)
        hurry.begin(time.now)

    hurry.begin(100.0)
    hurry.stand_back(time.mono, another_fill)
    assert len(time.waits) == TIMES


def test_a_fill_of_another_clock_means_nothing() -> None:
    time = Time(100.0)
    hurry.begin(10_000.0)
    hurry.stand_back(time.mono, time.wait)
    assert time.waits == []
