"""The budget's gate on the gateway loop: requests wait here for their slot, protective calls first."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass

from actors.clock import Clock
from actors.connection.budget import Budget, BudgetView, Lane, Limits

SHORTEST_NAP = 0.001


@dataclass(slots=True)
class _Waiter:
    lane: Lane
    number: int
    bars: bool
    admitted: asyncio.Future[None]


class Gate:
    """Hands out request slots by lane, then by arrival. Belongs to one event loop."""

    def __init__(self, limits: Limits, clock: Clock) -> None:
        self._budget = Budget(limits)
        self._clock = clock
        self._waiters: list[_Waiter] = []
        self._numbers = itertools.count()
        self._timer: asyncio.TimerHandle | None = None

    async def enter(self, lane: Lane, *, bars: bool = False) -> float:
        """Wait for a slot and take it; the seconds waited."""
        now = self._clock.mono()
        first = not any(waiter.lane <= lane for waiter in self._waiters)
        if first and self._budget.wait(lane, now, bars=bars) <= 0:
            self._budget.take(now, bars=bars)
            return 0.0
        admitted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(_Waiter(lane, next(self._numbers), bars, admitted))
        self._waiters.sort(key=lambda waiter: (waiter.lane, waiter.number))
        self._admit()
        await admitted
        return self._clock.mono() - now

    def learn(self, retry_after: float | None) -> float:
        """A 429 came: the seconds for which everything but protective calls stands back."""
        return self._budget.learn(self._clock.mono(), retry_after)

    def view(self) -> BudgetView:
        return self._budget.view(self._clock.mono(), len(self._waiters))

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        for waiter in self._waiters:
            waiter.admitted.cancel()

    def _admit(self) -> None:
        """Let in whoever may go now, in order; come back when the next one may."""
        now, naps, left = self._clock.mono(), [], []
        for waiter in self._waiters:
            if waiter.admitted.done():
                continue  # cancelled while it waited
            wait = self._budget.wait(waiter.lane, now, bars=waiter.bars)
            if wait <= 0:
                self._budget.take(now, bars=waiter.bars)
                waiter.admitted.set_result(None)
            else:
                naps.append(wait)
                left.append(waiter)
        self._waiters = left
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if naps:
            nap = max(min(naps), SHORTEST_NAP)
            self._timer = asyncio.get_running_loop().call_later(nap, self._admit)
