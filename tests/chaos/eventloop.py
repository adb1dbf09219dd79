"""The gateway loop without its thread: the same asyncio code, one round at a time, in virtual time."""

from __future__ import annotations

import asyncio
import math
from asyncio import events
from collections.abc import Callable
from typing import Any

from actors.clock import Clock
from actors.connection.loop import GatewayLoop
from actors.connection.options import Options, Outlets
from actors.connection.port import Gateway
from actors.messages import Call
from actors.worker import Address


class NoFiles:
    """A selector that waits for nothing: everything the loop hears comes through calls."""

    def select(self, timeout: float | None) -> tuple[()]:
        del timeout
        return ()


class SteppedLoop(asyncio.BaseEventLoop):
    """An asyncio loop that runs one round when it is told to; its time is the clock's."""

    _ready: Any
    _scheduled: list[Any]

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._mono = clock.mono
        self._selector = NoFiles()
        self.died = False

    def time(self) -> float:
        return self._mono()

    def _process_events(self, event_list: object) -> None:
        del event_list

    def _write_to_self(self) -> None:
        """Nobody sleeps: there is nothing to wake."""

    def next_due(self) -> float:
        """The instant of the next timer."""
        return self._scheduled[0].when() if self._scheduled else math.inf

    def has_work(self, now: float) -> bool:
        return bool(self._ready) or (bool(self._scheduled) and self._scheduled[0]._when <= now)

    def step(self) -> None:
        """One round: the timers that are due, and whatever is ready by now."""
        before = events._get_running_loop()
        events._set_running_loop(self)
        try:
            self._run_once()  # type: ignore[attr-defined]
        finally:
            events._set_running_loop(before)

    def die(self) -> None:
        """End as with the process: nothing runs any more, nobody is told."""
        self.died = True
        for task in asyncio.all_tasks(self):
            task._log_destroy_pending = False  # type: ignore[attr-defined]
            task.cancel()
        for _ in range(20):
            if not self.has_work(self._mono()):
                break
            self.step()
        self._ready.clear()
        self._scheduled.clear()
        self.close()


class SteppedGatewayLoop(GatewayLoop):
    """`GatewayLoop` on a stepped loop. `handed` hears of every call before it is handed over."""

    def __init__(
        self,
        make_gateway: Callable[[], Gateway],
        options: Options,
        outlets: Outlets,
        clock: Clock,
        handed: Callable[[Call], None],
    ) -> None:
        super().__init__(make_gateway, options, outlets, clock)
        self._loop.close()
        self.stepped = SteppedLoop(clock)
        self._loop = self.stepped
        self._handed = handed
        self._began = False

    def start(self) -> None:
        if not self._began:
            self._began = True
            self._loop.create_task(self._main(), name="main")
            while not self._ready.is_set():
                self.stepped.step()

    def submit(self, call: Call, reply_to: Address) -> None:
        self._handed(call)
        super().submit(call, reply_to)
