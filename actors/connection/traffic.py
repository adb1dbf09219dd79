"""What requests cost: a histogram of waits and one of times per endpoint, lane, outcome and code.

Counted on the gateway loop, published twice a second; neither bodies nor tokens nor accounts are in it.
"""

from __future__ import annotations

from bisect import bisect_left

from msgspec import Struct

from actors.connection.breaker import Broken
from actors.connection.budget import Lane

BOUNDS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
MOST_SERIES = 500
OTHER = "other"
"""Endpoint, outcome and code of what would be one series too many."""


class Histogram(Struct, frozen=True, gc=False):
    counts: tuple[int, ...]
    """Samples up to each bound of `BOUNDS_S`, and beyond the last."""
    total_s: float


class Series(Struct, frozen=True, gc=False):
    """All requests of one kind since the start."""

    endpoint: str
    lane: str
    outcome: str
    """answered, refused, or what kept it from being answered."""
    code: str
    """The gateway's error code or the HTTP status; empty where there was neither."""
    wait: Histogram
    """For its slot."""
    time: Histogram
    """From the send to the answer."""


class Traffic(Struct, frozen=True, gc=False):
    """Requests so far, and the endpoints left alone (board topic `("traffic",)`)."""

    series: tuple[Series, ...] = ()
    broken: tuple[Broken, ...] = ()


class _Counts:
    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS_S) + 1)
        self.total_s = 0.0

    def add(self, seconds: float) -> None:
        self.counts[bisect_left(BOUNDS_S, seconds)] += 1
        self.total_s += seconds

    def view(self) -> Histogram:
        return Histogram(tuple(self.counts), self.total_s)


type _Key = tuple[str, str, str, str]


class Meter:
    """Counts one request at a time."""

    def __init__(self) -> None:
        self._series: dict[_Key, tuple[_Counts, _Counts]] = {}

    def add(
        self, endpoint: str, lane: Lane, outcome: str, code: int | None, wait_s: float, time_s: float
    ) -> None:
        key = (endpoint, lane.name.lower(), outcome, "" if code is None else str(code))
        if key not in self._series and len(self._series) >= MOST_SERIES:
            key = (OTHER, key[1], OTHER, OTHER)
        wait, time = self._series.setdefault(key, (_Counts(), _Counts()))
        wait.add(wait_s)
        time.add(time_s)

    def view(self) -> tuple[Series, ...]:
        return tuple(Series(*key, wait.view(), time.view()) for key, (wait, time) in self._series.items())
