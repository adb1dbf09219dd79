"""What others see of the daemon from outside: daemon.json, the heartbeat page, and why it ended."""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from actors.clock import Clock
from actors.crash_points import crash_point
from actors.messages import HistoryKind, Record
from actors.persistence import keys
from supervisor.heartbeat import Beat, HeartbeatPage, Phase
from supervisor.home import Home
from supervisor.identity import identity_of

if TYPE_CHECKING:
    from supervisor.program import Program

SHOWN_AS = {
    "ready": Phase.READY,
    "stopping": Phase.STOPPING,
    "restarting": Phase.RESTARTING,
    "failing": Phase.FAILING,
}
"""Words of the program's phase that mean something to the watchdog; any other is one of the start."""


class Ended(Struct, frozen=True):
    """HOME/run/ended.json: why the guard is not there, for the command line and the watchdog."""

    exit: int
    why: str
    hint: str = ""
    left_open: tuple[str, ...] = ()


class Running(Struct, frozen=True):
    """HOME/run/daemon.json: who runs and how far it is."""

    pid: int
    start_ticks: int
    started_at: datetime
    restart: int
    safe_mode: bool
    phase: str


def refuse(home: Home, ended: Ended) -> int:
    """Leave the reason where the command line finds it; the exit code."""
    sys.stderr.write(f"{ended.why}\n")
    if ended.left_open:
        sys.stderr.write(f"left open: {', '.join(ended.left_open)}\n")
    if home.run.is_dir() and os.access(home.run, os.W_OK):
        home.ended.write_bytes(msgspec.json.encode(ended))
    return ended.exit


class Presence:
    """The daemon as the watchdog sees it. `program` is set once there is one."""

    def __init__(self, home: Home, clock: Clock, restart: int, safe_mode: bool) -> None:
        self.program: Program | None = None
        self.started_at = clock.wall()
        self._home, self._clock = home, clock
        me = identity_of(os.getpid())
        assert me is not None
        self._running = Running(me.pid, me.start_ticks, self.started_at, restart, safe_mode, "opening")
        # The watchdog asks for these stacks before it kills a daemon that no longer beats.
        self._stacks = home.stacks.open("w")
        if hasattr(signal, "SIGUSR1"):
            faulthandler.register(signal.SIGUSR1, file=self._stacks, all_threads=True)
        self._page = HeartbeatPage(home.heartbeat)
        self._count = 0
        self._phase = Phase.STARTING
        self.phase("opening the store")

    def phase(self, phase: str) -> None:
        """Say where the program is; the watchdog and `riskd up` read it."""
        self._running = msgspec.structs.replace(self._running, phase=phase)
        fresh = self._home.daemon.with_suffix(".new")
        fresh.write_bytes(msgspec.json.encode(self._running))
        fresh.replace(self._home.daemon)
        crash_point("daemon.recorded")
        self._phase = SHOWN_AS.get(phase, self._phase)
        if phase == "ready" and self.program is not None and self._running.restart:
            record_return(self.program)
        self.beat()

    def beat(self) -> None:
        self._count += 1
        program = self.program
        covered, configured, oldest_ms, slowest, slowest_ms = 0, 0, 0.0, "", 0.0
        if program is not None:
            covered, configured = program.figures.coverage()
            oldest_ms, slowest, slowest_ms = program.figures.slowness()
        running = self._running
        self._page.beat(
            Beat(
                self._count,
                running.pid,
                running.start_ticks,
                self._clock.mono(),
                oldest_ms,
                covered,
                configured,
                self._phase,
                slowest,
                slowest_ms,
            )
        )

    def stopped(self) -> None:
        """The daemon has ended in good order."""
        self._home.daemon.unlink(missing_ok=True)
        self._page.close()


def record_return(program: Program) -> None:
    """A daemon that replaced another writes down why, and for how long nobody guarded."""
    at, since = program.clock.wall(), os.environ.get("RISKD_DOWN_SINCE")
    uncovered_ms = round((program.clock.mono() - float(since)) * 1e3, 3) if since else None
    cause = os.environ.get("RISKD_RESTART_CAUSE") or "unknown"
    body: dict[str, object] = {"actor": "daemon", "cause": cause, "uncovered_ms": uncovered_ms}
    key = keys.history_id(HistoryKind.RESTART, "", f"daemon/{at.isoformat()}")
    program.address("persistence").tell(Record(key, HistoryKind.RESTART, at, "", body))
