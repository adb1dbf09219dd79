"""The budget's gate on the gateway loop: requests wait here for their slot, protective calls first."""

from __future__ import annotations

import asyncio
import itertools
import math
from dataclasses import dataclass

from actors.clock import Clock
from actors.connection.budget import Budget, BudgetView, Lane, Limits

SHORTEST_NAP = 0.001


class NoSlot(Exception):
    """There is no slot within the patience of whoever asked; nothing was sent and none was taken."""

    def __init__(self, wait_s: float) -> None:
        super().__init__(f"no slot for {wait_s:.1f} s")
        self.wait_s = wait_s


@dataclass(slots=True)
class _Waiter:
    lane: Lane
    number: int
    bars: bool
    wanted: int
    """Slots that must be free; 0 = it takes one itself."""
    admitted: asyncio.Future[None]


class Gate:
    """Hands out request slots by lane, then by arrival. Belongs to one event loop."""

    def __init__(self, limits: Limits, clock: Clock) -> None:
        self._budget = Budget(limits)
        self._clock = clock
        self._waiters: list[_Waiter] = []
        self._numbers = itertools.count()
        self._timer: asyncio.TimerHandle | None = None

    async def enter(self, lane: Lane, *, bars: bool = False, patience: float = math.inf) -> float:
        """Wait for a slot and take it; the seconds waited. Raises NoSlot when that takes too long."""
        now = self._clock.mono()
        wait = self._budget.wait(lane, now, bars=bars)
        if wait <= 0 and self._is_first(lane):
            self._budget.take(lane, now, bars=bars)
            return 0.0
        if wait > patience:
            raise NoSlot(wait)
        try:
            async with asyncio.timeout(None if math.isinf(patience) else patience):
                await self._queue(lane, bars=bars)
        except TimeoutError as error:
            raise NoSlot(self._budget.wait(lane, self._clock.mono(), bars=bars)) from error
        return self._clock.mono() - now

    async def ready(self, lane: Lane, wanted: int) -> None:
        """Wait until so many requests could go out one after the other; takes no slot."""
        if not self._is_first(lane) or self._budget.wait(lane, self._clock.mono(), wanted=wanted) > 0:
            await self._queue(lane, wanted=wanted)

    def learn(self, lane: Lane, retry_after: float | None) -> float:
        """A 429 came to a request of this lane: the seconds for which reads stand back."""
        return self._budget.learn(lane, self._clock.mono(), retry_after)

    def view(self) -> BudgetView:
        return self._budget.view(self._clock.mono(), len(self._waiters))

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        for waiter in self._waiters:
            waiter.admitted.cancel()

    def _is_first(self, lane: Lane) -> bool:
        return not any(waiter.lane <= lane and not waiter.admitted.done() for waiter in self._waiters)

    async def _queue(self, lane: Lane, *, bars: bool = False, wanted: int = 0) -> None:
        admitted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(_Waiter(lane, next(self._numbers), bars, wanted, admitted))
        self._waiters.sort(key=lambda waiter: (waiter.lane, waiter.number))
        self._admit()
        await admitted

    def _admit(self) -> None:
        """Let in whoever may go now, in order; come back when the next one may."""
        now, naps, left = self._clock.mono(), [], []
        for waiter in self._waiters:
            if waiter.admitted.done():
                continue  # cancelled while it waited
            wait = self._budget.wait(waiter.lane, now, bars=waiter.bars, wanted=max(1, waiter.wanted))
            if wait > 0:
                naps.append(wait)
                left.append(waiter)
                continue
            if not waiter.wanted:
                self._budget.take(waiter.lane, now, bars=waiter.bars)
            waiter.admitted.set_result(None)
        self._waiters = left
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if naps:
            nap = max(min(naps), SHORTEST_NAP)
            self._timer = asyncio.get_running_loop().call_later(nap, self._admit)
