"""Telling a service unit how the guard is: systemd's notify protocol, a datagram to the socket it names.

The unit is the third anchor: it replaces a watchdog that no longer says that the daemon's scan moves on. A
replacement of the daemon counts as a sign of life too, so that a daemon that keeps failing is left to the
watchdog, which counts, and is not started from zero by the unit.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, MutableMapping
from contextlib import suppress

from supervisor.heartbeat import Beat, Phase

VARIABLE = "NOTIFY_SOCKET"
PING_S = 1.0

type Send = Callable[[str], None]


class Announcer:
    """What the unit was told so far. Instants are monotonic seconds."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._ready = self._stopping = False
        self._counter = -1
        self._pinged_at = float("-inf")

    def started(self, now: float, restart: int) -> None:
        """A daemon was started."""
        self._send(f"STATUS=starting the daemon (start {restart})")
        self._ping(now)

    def looked(self, now: float, beat: Beat | None) -> None:
        """The daemon's last beat: ready, alive while its counter moves, stopping when it says so."""
        if beat is None or beat.counter == self._counter:
            return
        self._counter = beat.counter
        if beat.phase is Phase.READY and not self._ready:
            self._ready = True
            self._send(f"READY=1\nSTATUS=guarding, daemon {beat.pid}")
        if beat.phase is Phase.STOPPING:
            self.stopping()
        if now - self._pinged_at >= PING_S:
            self._ping(now)

    def stopping(self) -> None:
        if not self._stopping:
            self._stopping = True
            self._send("STOPPING=1\nSTATUS=ending the guard")

    def _ping(self, now: float) -> None:
        self._pinged_at = now
        self._send("WATCHDOG=1")


def announcer(environment: MutableMapping[str, str]) -> Announcer:
    """For the unit that started this process; silent where none did. The name is taken out of the
    environment, so that the daemon does not inherit it."""
    name = environment.pop(VARIABLE, "")
    if not name.startswith(("/", "@")) or not hasattr(socket, "AF_UNIX"):
        return Announcer(lambda _: None)
    address = "\0" + name[1:] if name.startswith("@") else name
    own = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | getattr(socket, "SOCK_CLOEXEC", 0))
    own.setblocking(False)

    def send(text: str) -> None:
        # A unit that does not listen must not end the guard; it will notice the silence itself.
        with suppress(OSError):
            own.sendto(text.encode(), address)

    return Announcer(send)
