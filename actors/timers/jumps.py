"""Noticing that the clock was set, the machine slept, or nothing ran for a while. Pure."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from msgspec import Struct

JUMP_S = 1.0
"""A smaller step of the wall clock is ordinary correction."""
STALL_S = 3.0
"""Beats come every 50 ms; so long without one, and the machine or the program stood still."""


SLEPT_S = 5.0
"""A wall clock that went further ahead than this may have done so while the machine slept."""


class JumpKind(StrEnum):
    FORWARD = "forward"
    """Set forward, or the machine slept: the wall clock went on while the monotonic one did not."""
    BACK = "back"
    STALLED = "stalled"
    """Both clocks went on and nothing of ours ran."""


class Jump(Struct, frozen=True, gc=False):
    kind: JumpKind
    seconds: float

    @property
    def slept(self) -> bool:
        """Connections may have died meanwhile without a word. (Where the monotonic clock counts the sleep,
        hubs are silent for as long, and that is noticed by itself.)"""
        return self.kind is JumpKind.FORWARD and self.seconds >= SLEPT_S

    def text(self) -> str:
        match self.kind:
            case JumpKind.FORWARD:
                return f"the wall clock went {self.seconds:.1f} s forward: it was set, or the machine slept"
            case JumpKind.BACK:
                return f"the wall clock was set back by {self.seconds:.1f} s"
            case JumpKind.STALLED:
                return f"nothing ran for {self.seconds:.1f} s: the machine slept or was overloaded"


class Reading(Struct, frozen=True, gc=False):
    """Both clocks, read together."""

    wall: datetime
    mono: float


def jump(before: Reading, now: Reading) -> Jump | None:
    """What happened between two beats, if anything."""
    passed = now.mono - before.mono
    strayed = (now.wall - before.wall).total_seconds() - passed
    if strayed >= JUMP_S:
        return Jump(JumpKind.FORWARD, strayed)
    if strayed <= -JUMP_S:
        return Jump(JumpKind.BACK, -strayed)
    return Jump(JumpKind.STALLED, passed) if passed >= STALL_S else None
