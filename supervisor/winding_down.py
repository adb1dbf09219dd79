"""How the guard ends when it is told to: nothing new is begun, what is under way is finished, what stays
open is written down and told. Told twice it ends at once.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import trio

from actors.enforcement.view import EnforcementView
from actors.logs import get_logger
from actors.messages import AccountSnapshot
from actors.notices.actor import HowManyWait
from actors.worker import ActorDied
from supervisor.driver import outcome
from supervisor.life import Ending

if TYPE_CHECKING:
    from supervisor.program import Program

log = get_logger("riskd.daemon")

GRACE_S = 5.0
"""A close that is under way is waited for; what is not through by then is left to the broker's own stops."""
TOLD_S = 2.0
LOOK_S = 0.05
TERMINATED = 143
AGAIN_S = 5.0
ONE_S = 0.3
"""Signals that come closer together are one: a service manager sends its to watchdog and daemon alike."""


async def wind_down(program: Program, grace_s: float) -> tuple[str, ...]:
    """Wait for what is under way, then tell what stays open; the positions and orders left, in words."""
    with trio.move_on_after(grace_s):
        while _under_way(program):  # noqa: ASYNC110 - the board wakes nobody
            await trio.sleep(LOOK_S)
    left = left_open(program)
    if left:
        why = "the guard is ending" if program.ending is None else program.ending.why
        program.alert("critical", f"{why}: nobody guards {', '.join(left)} from now on", "ended/left-open")
    with trio.move_on_after(min(grace_s, TOLD_S)):
        await _told(program)
    return left


def _under_way(program: Program) -> bool:
    views = (program.board.read(("enforcement", name), EnforcementView) for name in program.armed)
    return any(view is not None and (view.in_flight or view.reducing) for view in views)


def left_open(program: Program) -> tuple[str, ...]:
    """What the guard leaves open, account by account, as last seen."""
    left = list[str]()
    for name in program.armed:
        snapshot = program.board.read(("snapshot", name), AccountSnapshot)
        if snapshot is None:
            continue
        left += [f"{name} {position.root} {position.size:+d}" for position in snapshot.positions]
        if snapshot.orders:
            count = len(snapshot.orders)
            left.append(f"{name} {count} working order{'s' if count > 1 else ''}")
    return tuple(left)


async def _told(program: Program) -> None:
    """Until the last alerts are recorded and their messengers have answered."""
    notices = program.supervisor.handle("notices")
    while True:
        try:
            if not await outcome(notices.ask(HowManyWait(), TOLD_S)):
                return
        except (ActorDied, TimeoutError):
            return
        await trio.sleep(LOOK_S)


async def obey_signals(program: Program, end_at_once: Callable[[str], None]) -> None:
    """SIGTERM and SIGINT never refuse: the first ends the guard in good order, a second one at once."""
    first: float | None = None
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as received:
        async for number in received:
            name, now = signal.Signals(number).name, program.clock.mono()
            if first is None or now - first > AGAIN_S:
                first = now
                program.end(Ending(TERMINATED, f"asked to stop by {name}"))
            elif now - first >= ONE_S:
                end_at_once(f"told to end at once by {name}")


def leave_now(program: Program, record: Callable[[int, str, tuple[str, ...]], object], why: str) -> None:
    """End this process here: everything decided is in the journal already, the rest is read again."""
    left = left_open(program)
    record(TERMINATED, why, left)
    sys.stderr.flush()
    os._exit(TERMINATED)
