"""The clock that everything but timers decides by: trusted time as timers last published it, carried on.

Whoever sets the machine's clock must neither end a lockout by it nor keep one from being set, nor move
the trading day, the session or the window in which fills are read.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from actors.board import Board
from actors.clock import Clock

from .actor import TimersView


class TrustedClock:
    """A `Clock` whose `wall()` is trusted time; the machine's only until timers were heard."""

    def __init__(self, clock: Clock, board: Board) -> None:
        self._clock, self._board = clock, board
        self.mono = clock.mono

    def wall(self) -> datetime:
        view = self._board.read(("timers",), TimersView)
        if view is None:
            return self._clock.wall()
        return view.now + timedelta(seconds=self.mono() - view.mono)
