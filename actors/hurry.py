"""Right after a fill the processor belongs to the close that it may lead to.

All threads share one interpreter, so whoever renders logs or commits rows then is on the way of the close.
They look here first and stand back for some milliseconds, a few times at most. One moment for the whole
process, because the processor is one; it is a hint, nothing is decided by it.
"""

from __future__ import annotations

from collections.abc import Callable

WINDOW_S = 0.004
"""From a fill to its close on the wire, with some air."""
TIMES = 4
"""How often somebody stands back in a row: work that never gets done helps nobody."""

_until = 0.0


def begin(mono: float) -> None:
    """A fill came at this monotonic second."""
    global _until
    _until = mono + WINDOW_S


def stand_back(mono: Callable[[], float], wait: Callable[[float], object]) -> None:
    """Wait while somebody is in a hurry."""
    for _ in range(TIMES):
        left = _until - mono()
        if not 0 < left < 2 * WINDOW_S:  # more is no moment of this clock
            return
        wait(left)
