"""The request budget: which request may go out now. Pure: `now` (monotonic seconds) comes in.

The gateway allows 200 requests per 60 s for everything and 50 per 30 s for bars; one too many is
answered 429. Whether its window slides is not documented, so ours does, which is never more than
either kind allows. That window is our own estimate, so it rations reads only: a part of it is left to
protective calls, a part of the rest to verifications, and no protective call and no login ever waits
for it. What the gateway itself said (a 429) holds back whoever was told, and all who come after.
"""

from __future__ import annotations

from collections import deque
from enum import IntEnum

from msgspec import Struct

BARS_REQUESTS = 50
BARS_PER = 30.0

FIRST_HOLD = 2.0
LONGEST_HOLD = 60.0
PACE = 1.0
"""Seconds between two protective calls where the gateway says 429 and not for how long."""


class Lane(IntEnum):
    """Who goes first when a slot frees; the lower number."""

    PROTECTIVE = 0
    LOGIN = 1
    VERIFY = 2
    """To see whether an account complies."""
    RECONCILE = 3
    REST = 4

    @property
    def rationed(self) -> bool:
        """Waits for our own estimate of what the gateway allows."""
        return self >= Lane.VERIFY


class Limits(Struct, frozen=True, gc=False):
    requests: int = 200
    per: float = 60.0
    reserved: int = 40

    @property
    def for_verifying(self) -> int:
        """Of what reads may use, the part that only verifications may."""
        return (self.requests - self.reserved) * 3 // 16


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
    """Seconds for which reads still stand back after a 429."""
    verifying: int = 0
    """Slots used by verifications."""


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

    def wait(self, now: float, keep: int = 0, wanted: int = 1) -> float:
        """Seconds until `wanted` slots are free that leave `keep` more untouched; 0 when they are."""
        used = self.used(now)
        # More than there ever is: then until all is free.
        over = min(used - (self._size - keep) + wanted, used)
        return 0.0 if over <= 0 else max(0.0, self._stamps[over - 1] + self._per - now)

    def take(self, now: float) -> None:
        self._stamps.append(now)


class Budget:
    """Counts what was sent and says how long the next request must wait."""

    def __init__(self, limits: Limits) -> None:
        if not 0 <= limits.reserved < limits.requests:
            raise ValueError(f"cannot reserve {limits.reserved} of {limits.requests} requests")
        self.limits = limits
        self._all = Window(limits.requests, limits.per)
        self._unverifying = Window(limits.requests - limits.reserved - limits.for_verifying, limits.per)
        self._verifying = Window(limits.requests, limits.per)
        self._bars = Window(BARS_REQUESTS, BARS_PER)
        self._held_until = dict.fromkeys(Lane, 0.0)
        self._hold = 0.0
        self._refused = 0

    def wait(self, lane: Lane, now: float, *, bars: bool = False, wanted: int = 1) -> float:
        """Seconds this request (or so many) must wait; 0 means it may go now (`take` it then)."""
        wait = max(0.0, self._held_until[lane] - now)
        if lane.rationed:
            wait = max(wait, self._all.wait(now, self.limits.reserved, wanted))
        if lane > Lane.VERIFY:
            wait = max(wait, self._unverifying.wait(now, 0, wanted))
        return max(wait, self._bars.wait(now)) if bars else wait

    def take(self, lane: Lane, now: float, *, bars: bool = False) -> None:
        self._all.take(now)
        if lane > Lane.VERIFY:
            self._unverifying.take(now)
        if lane is Lane.VERIFY:
            self._verifying.take(now)
        if bars:
            self._bars.take(now)

    def learn(self, lane: Lane, now: float, retry_after: float | None) -> float:
        """A request of this lane was answered 429: its lane and those after it stand back.

        For what the gateway said; else reads twice as long as last time, a protective call for its pace.
        The seconds for which reads do.
        """
        self._refused += 1
        reads_until = self._held_until[Lane.REST]
        again = self._hold * 2 if now < reads_until + self._hold else FIRST_HOLD
        self._hold = min(LONGEST_HOLD, retry_after if retry_after is not None else again)
        for each in Lane:
            if each >= min(lane, Lane.VERIFY):  # reads stand back together
                wait = PACE if retry_after is None and not each.rationed else self._hold
                self._held_until[each] = max(self._held_until[each], now + wait)
        return self._hold

    def view(self, now: float, waiting: int) -> BudgetView:
        return BudgetView(
            used=self._all.used(now),
            requests=self.limits.requests,
            per=self.limits.per,
            reserved=self.limits.reserved,
            waiting=waiting,
            refused=self._refused,
            hold_s=max(0.0, self._held_until[Lane.REST] - now),
            verifying=self._verifying.used(now),
        )


def reconcile_interval(
    every: float, accounts: int, requests_each: int, limits: Limits, verifying: int = 0
) -> float:
    """Seconds between two steady reads of an account: stretched so that reads use at most half the budget.

    What verifications used of that half is not there for steady reads, down to a fifth of the budget.
    """
    share = max(limits.requests / 2 - verifying, limits.requests / 5)
    return max(every, accounts * requests_each * limits.per / share)
