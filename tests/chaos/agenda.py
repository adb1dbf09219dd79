"""What is to happen outside the guard, in virtual time: requests on their way, answers, events, prices."""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable, Hashable

from actors.clock import ManualClock


class Agenda:
    """Things due at an instant. What travels on the same `wire` arrives in the order in which it was sent."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._last: dict[Hashable, float] = {}

    def after(self, seconds: float, act: Callable[[], None], wire: Hashable = None) -> None:
        at = self._clock.mono() + seconds
        if wire is not None:
            at = self._last[wire] = max(at, self._last.get(wire, 0.0))
        heapq.heappush(self._due, (at, next(self._numbers), act))

    def next_due(self) -> float:
        return self._due[0][0] if self._due else math.inf

    def is_due(self, now: float) -> bool:
        return bool(self._due) and self._due[0][0] <= now

    def step(self) -> None:
        """Let the oldest thing happen."""
        heapq.heappop(self._due)[2]()
