"""What requests cost: a histogram of waits and one of times per endpoint, lane, outcome and code.

Counted on the gateway loop, published twice a second; neither bodies nor tokens nor accounts are in it.
"""

from __future__ import annotations

from msgspec import Struct

from actors.connection.breaker import Broken
from actors.connection.budget import Lane
from actors.tally import Spans

MOST_SERIES = 500
OTHER = "other"
"""Endpoint, outcome and code of what would be one series too many."""


class Series(Struct, frozen=True):
    """All requests of one kind since the start."""

    endpoint: str
    lane: str
    outcome: str
    """answered, refused, or what kept it from being answered."""
    code: str
    """The gateway's error code or the HTTP status; empty where there was neither."""
    wait: Spans
    """For its slot."""
    time: Spans
    """From the send to the answer."""


class Traffic(Struct, frozen=True):
    """Requests so far, and the endpoints left alone (board topic `("traffic",)`)."""

    series: tuple[Series, ...] = ()
    broken: tuple[Broken, ...] = ()


class Meter:
    """Counts one request at a time."""

    def __init__(self) -> None:
        self._series: dict[tuple[str, str, str, str], Series] = {}

    def add(
        self, endpoint: str, lane: Lane, outcome: str, code: int | None, wait_s: float, time_s: float
    ) -> None:
        key = (endpoint, lane.name.lower(), outcome, "" if code is None else str(code))
        if key not in self._series and len(self._series) >= MOST_SERIES:
            key = (OTHER, OTHER, OTHER, OTHER)
        series = self._series.get(key)
        if series is None:
            series = self._series[key] = Series(*key, Spans(), Spans())
        series.wait.add(wait_s)
        series.time.add(time_s)

    def view(self) -> tuple[Series, ...]:
        return tuple(self._series.values())
