"""What the world outside leaves to be desired, clocks and endpoints, as reasons and notes. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from actors.connection.link import LinkView
from actors.connection.traffic import Traffic
from actors.messages import Now
from actors.timers.actor import TimersView
from supervisor.answers import Note, Reason

JUMP_SHOWN_S = 900.0


def reasons(timers: TimersView | None, traffic: Traffic | None, now: Now) -> Iterable[Reason]:
    """Why the guard is degraded by what lies outside of it."""
    if timers is not None and timers.behind_s:
        behind = f"this machine's clock is {timers.behind_s:.0f} s behind the gateway's"
        yield Reason(
            "clock", f"{behind}: fills of a trading day not begun here count in no limit. Set the clock"
        )
    for broken in traffic.broken if traffic else ():
        since = now.wall - timedelta(seconds=max(0.0, now.mono - broken.since_mono))
        known = "nothing is known from it"
        if broken.answered_mono is not None:
            known = f"what is known from it is {max(0.0, now.mono - broken.answered_mono):.0f} s old"
        again = f"asked again in {broken.probe_in_s:.0f} s"
        text = f"{broken.endpoint} failed {broken.failures} times: {known}, {again}"
        yield Reason("endpoint", text, since)


def notes(timers: TimersView | None, link: LinkView | None, now: Now) -> Iterable[Note]:
    """What happened to the machine a short while ago, and what the gateway says that nobody documented."""
    jumped = None if timers is None else timers.jump_mono
    if timers is not None and jumped is not None and now.mono - jumped <= JUMP_SHOWN_S:
        yield Note("clock_jump", f"{timers.last_jump}; the accounts were read again")
    for field, number, count in link.undocumented if link else ():
        text = f"{count} orders had the undocumented {field} {number}: they count as risk, never as a stop"
        yield Note("undocumented", text)
