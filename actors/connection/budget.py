"""The request budget: which request may go out now. Pure: `now` (monotonic seconds) comes in.

The gateway allows 200 requests per 60 s for everything and 50 per 30 s for bars; one too many is
answered 429. Whether its window slides is not documented, so ours does, which is never more than
either kind allows. A part of the window is reserved: only protective calls may use it, so that a
close never waits behind a read.
"""

from __future__ import annotations

from collections import deque
from enum import IntEnum

from msgspec import Struct

BARS_REQUESTS = 50
BARS_PER = 30.0

FIRST_HOLD = 2.0
LONGEST_HOLD = 60.0


class Lane(IntEnum):
    """Who goes first when a slot frees; the lower number."""

    PROTECTIVE = 0
    RECONCILE = 1
    REST = 2


class Limits(Struct, frozen=True, gc=False):
    requests: int = 200
    per: float = 60.0
    reserved: int = 40


DEFAULT_LIMITS = Limits()


class BudgetView(Struct, frozen=True, gc=False):
    """How much of the window is used, for status and metrics."""

    used: int
    requests: int
    per: float
    reserved: int
    waiting: int
    refused: int
    """Requests the gateway answered 429 since the start."""
    hold_s: float
    """Seconds for which everything but protective calls still stands back after a 429."""


class Window:
    """A sliding window of at most `size` stamps in `per` seconds."""

    def __init__(self, size: int, per: float) -> None:
        self._size = size
        self._per = per
        self._stamps: deque[float] = deque()

    def used(self, now: float) -> int:
        while self._stamps and self._stamps[0] <= now - self._per:
            self._stamps.popleft()
        return len(self._stamps)

    def wait(self, now: float, keep: int = 0) -> float:
        """Seconds until a slot is free that leaves `keep` more untouched; 0 when there is one."""
        over = self.used(now) - (self._size - keep)
        return 0.0 if over < 0 else max(0.0, self._stamps[over] + self._per - now)

    def take(self, now: float) -> None:
        self._stamps.append(now)


class Budget:
    """Counts what was sent and says how long the next request must wait."""

    def __init__(self, limits: Limits) -> None:
        if not 0 <= limits.reserved < limits.requests:
            raise ValueError(f"cannot reserve {limits.reserved} of {limits.requests} requests")
        self.limits = limits
        self._all = Window(limits.requests, limits.per)
        self._bars = Window(BARS_REQUESTS, BARS_PER)
        self._hold_until = 0.0
        self._hold = 0.0
        self._refused = 0

    def wait(self, lane: Lane, now: float, *, bars: bool = False) -> float:
        """Seconds this request must wait; 0 means it may go now (`take` it then).

        After a 429 everything but a protective call stands back: those are never blocked by what
        was learnt, only by the window itself.
        """
        keep = 0 if lane is Lane.PROTECTIVE else self.limits.reserved
        wait = self._all.wait(now, keep)
        if lane is not Lane.PROTECTIVE:
            wait = max(wait, self._hold_until - now)
        return max(wait, self._bars.wait(now)) if bars else wait

    def take(self, now: float, *, bars: bool = False) -> None:
        self._all.take(now)
        if bars:
            self._bars.take(now)

    def learn(self, now: float, retry_after: float | None) -> float:
        """The gateway answered 429: stand back for what it said, else twice as long as last time."""
        self._refused += 1
        again = self._hold * 2 if now < self._hold_until + self._hold else FIRST_HOLD
        self._hold = min(LONGEST_HOLD, retry_after if retry_after is not None else again)
        self._hold_until = max(self._hold_until, now + self._hold)
        return self._hold

    def view(self, now: float, waiting: int) -> BudgetView:
        return BudgetView(
            used=self._all.used(now),
            requests=self.limits.requests,
            per=self.limits.per,
            reserved=self.limits.reserved,
            waiting=waiting,
            refused=self._refused,
            hold_s=max(0.0, self._hold_until - now),
        )


def reconcile_interval(every: float, accounts: int, requests_each: int, limits: Limits) -> float:
    """Seconds between two steady reads of an account: stretched so that they use at most half the budget."""
    return max(every, accounts * requests_each * limits.per / (limits.requests / 2))
