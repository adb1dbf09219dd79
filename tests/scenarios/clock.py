"""The desk's time: it stands still until a scenario moves it."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import count
from zoneinfo import ZoneInfo

from actors.clock import ManualClock

CHICAGO = ZoneInfo("America/Chicago")
WEDNESDAY_10 = datetime(2026, 3, 4, 10, tzinfo=CHICAGO)
A_LOOK_S = 1e-7
"""What a look at the desk's clock takes on it; some thousand looks make a scenario."""


class DeskClock(ManualClock):
    """The guard's: stands still until it is moved, but every look at it takes a moment, so that what came
    first stays told apart. `still` is the gateway's, whose stamps are therefore exact."""

    def __init__(self, start: datetime) -> None:
        super().__init__(start)
        self.still = Still(self)
        self._looks = count(1)

    def _moments(self) -> float:
        return next(self._looks) * A_LOOK_S

    def mono(self) -> float:
        return super().mono() + self._moments()

    def wall(self) -> datetime:
        return super().wall() + timedelta(seconds=self._moments())


class Still:
    """The same clock without the moments."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock

    def wall(self) -> datetime:
        return ManualClock.wall(self._clock)

    def mono(self) -> float:
        return ManualClock.mono(self._clock)


def minutes(count: float) -> float:
    return timedelta(minutes=count).total_seconds()


def chicago(year: int, month: int, day: int, hour: int, minute: int = 0, second: float = 0) -> datetime:
    """An instant as the exchange's clock on the wall shows it."""
    whole = int(second)
    return datetime(year, month, day, hour, minute, whole, round((second - whole) * 1e6), tzinfo=CHICAGO)
