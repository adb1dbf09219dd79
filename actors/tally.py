"""Counts that an actor keeps for whoever looks: plain integers, taken at the moment of a scrape.

Adding wakes nobody, locks nothing and formats nothing; a tally belongs to one actor's thread and outlives
its incarnations on the board. A reader sees numbers that may be one message old.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque

BOUNDS_S = (0.00001, 0.00003, 0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
"""Upper bounds of the buckets of every histogram, seconds."""
RECENT = 512
"""Values that percentiles are taken of."""

type Key = tuple[str, ...]


class Spans:
    """How long something took: a histogram since the start, and the newest values."""

    __slots__ = ("buckets", "recent", "total_s")

    def __init__(self) -> None:
        self.buckets = [0] * (len(BOUNDS_S) + 1)
        self.total_s = 0.0
        self.recent = deque[float](maxlen=RECENT)

    def add(self, seconds: float) -> None:
        self.buckets[bisect_left(BOUNDS_S, seconds)] += 1
        self.total_s += seconds
        self.recent.append(seconds)

    @property
    def count(self) -> int:
        return sum(self.buckets)


class Tally:
    """One actor's counts, by words."""

    __slots__ = ("_counts", "_spans", "heard")

    def __init__(self) -> None:
        self._counts: dict[Key, int] = {}
        self._spans: dict[Key, Spans] = {}
        self.heard: dict[str, float] = {}
        """Monotonic second at which something was last heard, by what (a contract's quote, `event`)."""

    def add(self, *key: str) -> None:
        self._counts[key] = self._counts.get(key, 0) + 1

    def took(self, seconds: float, *key: str) -> None:
        spans = self._spans.get(key)
        if spans is None:
            spans = self._spans[key] = Spans()
        spans.add(seconds)

    def counts(self) -> dict[Key, int]:
        return dict(self._counts)

    def spans(self) -> dict[Key, Spans]:
        return dict(self._spans)


def percentile(seconds: list[float], share: float) -> float | None:
    """The value that `share` of them do not exceed; None of nothing."""
    if not seconds:
        return None
    ordered = sorted(seconds)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
