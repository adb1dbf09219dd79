"""What is asked of a watchdog by signals: SIGTERM and SIGINT, once to end, twice to end at once."""

from __future__ import annotations

import signal
import socket
from collections.abc import Mapping
from contextlib import suppress

from actors.clock import Clock

AGAIN_S = 5.0
"""A second signal to stop within this long ends the guard at once; two within `ONE_S` are one."""
ONE_S = 0.3


class Asked:
    """Takes the signals of this process from `take` to `give_back`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._first: float | None = None
        self.again = False
        """A second time, within seconds."""
        self._wake_in, self.wakes = socket.socketpair()
        self._wake_in.setblocking(False)
        self.wakes.setblocking(False)
        self._previous: Mapping[signal.Signals, object] = {}

    @property
    def to_stop(self) -> bool:
        return self._first is not None

    def take(self) -> None:
        """From here on `wakes` is readable when a signal has come."""
        previous: dict[signal.Signals, object] = {}
        for number in (signal.SIGTERM, signal.SIGINT):
            previous[number] = signal.signal(number, self._stop)
        if hasattr(signal, "SIGHUP"):
            previous[signal.SIGHUP] = signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.set_wakeup_fd(self._wake_in.fileno(), warn_on_full_buffer=False)
        self._previous = previous

    def give_back(self) -> None:
        signal.set_wakeup_fd(-1)
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what signal() itself returned
        self._wake_in.close()
        self.wakes.close()

    def woken(self) -> None:
        """Empty what a signal has put there."""
        with suppress(BlockingIOError):
            self.wakes.recv(64)

    def _stop(self, number: int, frame: object) -> None:
        now = self._clock.mono()
        if self._first is not None and ONE_S <= now - self._first <= AGAIN_S:
            self.again = True
        self._first = self._first or now
