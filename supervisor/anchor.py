"""The daemon's side of watching each other: a watchdog that died or stands still is started again.

One look in, one step out (`judge`, pure); `keep_watchdog` is the thin shell. A watchdog that comes back
adopts this very daemon: nothing here ever stops guarding.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Sequence
from enum import Enum

import msgspec
import psutil
import trio
from msgspec import Struct

from actors.clock import Clock
from actors.logs import get_logger
from supervisor.heartbeat import read_beat
from supervisor.home import Home
from supervisor.identity import Identity, recorded
from supervisor.spawning import inherited, same_watchdog, spawn

log = get_logger("riskd.daemon")

LOOK_S = 0.2
STILL_S = 5.0
"""A watchdog that does not beat for so long is replaced."""
SUSPENDED_S = 1.0
COMES_S = 5.0
"""A started watchdog has so long to take its place."""
SETTLED_S = 1.0
"""One that lasted so long did come up: the next is started at once, whoever keeps killing it."""
LONGEST_PAUSE_S = 10.0
UNIT = "RISKD_UNIT"
"""Names the service unit that started the guard."""
UNIT_S = 5.0
"""A unit brings its watchdog back within a second; only where it does not is it done here."""


class Look(Struct, frozen=True):
    """What one look at the watchdog shows."""

    now: float
    alive: bool
    suspended: bool = False
    counter: int = -1


class View(Struct, frozen=True):
    """What is remembered between two looks. Instants are monotonic seconds."""

    looked_at: float
    counter: int = -1
    moved_at: float = 0.0
    suspended_at: float | None = None
    next_start: float = 0.0
    came_at: float | None = None
    pause_s: float = 0.0
    hold_s: float = 0.0
    """How long somebody else has to bring a dead one back."""


class Step(Enum):
    WAIT = "wait"
    START = "start"
    KILL = "kill"


def judge(view: View, look: Look) -> tuple[View, Step]:
    """Start one where there is none, kill one that stands still; a late look proves nothing against it."""
    late = look.now - view.looked_at > STILL_S
    view = msgspec.structs.replace(view, looked_at=look.now)
    if not look.alive:
        return _without(view, look.now)
    moved = look.counter != view.counter or late
    settled = view.came_at is not None and look.now - view.came_at >= SETTLED_S
    view = msgspec.structs.replace(
        view,
        counter=look.counter,
        moved_at=look.now if moved else view.moved_at,
        suspended_at=(view.suspended_at or look.now) if look.suspended and not late else None,
        came_at=view.came_at or look.now,
        pause_s=0.0 if settled else view.pause_s,
    )
    suspended = view.suspended_at is not None and look.now - view.suspended_at >= SUSPENDED_S
    return view, Step.KILL if suspended or look.now - view.moved_at > STILL_S else Step.WAIT


def _without(view: View, now: float) -> tuple[View, Step]:
    """No watchdog: one at once, the next ones after growing pauses while none lasts."""
    died = view.came_at is not None
    next_start = now + max(view.pause_s, view.hold_s) if died else view.next_start
    view = msgspec.structs.replace(view, came_at=None, suspended_at=None, next_start=next_start)
    if now < next_start:
        return view, Step.WAIT
    pause_s = min(max(view.pause_s * 2, 0.5), LONGEST_PAUSE_S)
    return msgspec.structs.replace(view, next_start=now + COMES_S, pause_s=pause_s), Step.START


async def keep_watchdog(home: Home, clock: Clock, wanted: Callable[[], bool]) -> None:
    """Look after the watchdog until cancelled, or until `wanted` says that the guard ends."""
    command = same_watchdog(home)
    hold_s = UNIT_S if os.environ.get(UNIT) else 0.0
    view = View(clock.mono(), moved_at=clock.mono(), hold_s=hold_s)
    child: subprocess.Popen[bytes] | None = None
    while True:
        await trio.sleep(LOOK_S)
        if child is not None:
            child.poll()  # else one that ended would stay as a corpse
        command = same_watchdog(home) or command
        if command is None or not wanted():
            continue
        watchdog = recorded(home.watchdog)
        view, step = judge(view, look_at(home, watchdog, clock.mono()))
        match step:
            case Step.WAIT:
                pass
            case Step.START:
                log.error("watchdog.lost", restarts_in_s=view.pause_s)
                child = await trio.to_thread.run_sync(_started, home, command)
            case Step.KILL:
                log.error("watchdog.stands_still", pid=watchdog.pid if watchdog else None)
                _kill(watchdog)


def look_at(home: Home, watchdog: Identity | None, now: float) -> Look:
    """What the watchdog shows now: its process, and the page on which it beats."""
    if watchdog is None:
        return Look(now, alive=False)
    beat = read_beat(home.watchdog_beat)
    own = beat is not None and Identity(beat.pid, beat.start_ticks) == watchdog
    suspended = False
    with contextlib.suppress(psutil.Error):
        suspended = psutil.Process(watchdog.pid).status() == psutil.STATUS_STOPPED
    return Look(now, True, suspended, beat.counter if own and beat is not None else -1)


def _started(home: Home, command: Sequence[str]) -> subprocess.Popen[bytes] | None:
    try:
        return spawn(command, home, home.watchdog_out, inherited(os.environ))
    except OSError as error:
        log.error("watchdog.not_started", why=str(error))
        return None


def _kill(watchdog: Identity | None) -> None:
    if watchdog is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(watchdog.pid, getattr(signal, "SIGKILL", signal.SIGTERM))
