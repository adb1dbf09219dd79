"""Several losing trades in a row: time to stop (no number; an addition to the thirteen).

A trade here is a round turn, flat to flat in one contract; its result is the sum of the fills' P&L. A
result of exactly 0 neither counts nor breaks the row, a win breaks it. Each further loss of the row
begins the rest anew. A round turn that a lockout ended counts for nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from actors.messages import (
    AccountSnapshot,
    BookedFill,
    Breach,
    ContractId,
    Figure,
    Money,
    Now,
    OwnClose,
)
from actors.money import money_text
from config.settings import LossStreak

from . import sandbox
from .day_fold import DayFold
from .episodes import Episodes
from .locks import Resets
from .rests import Rest, Resting
from .rule import Probe


class RoundTurn(Struct, frozen=True, gc=False):
    """A finished round turn, by the fill that ended it, and the losing row it ends."""

    last: BookedFill
    result: Money
    row: int


class Turns(Struct, frozen=True, gc=False):
    """The day's round turns."""

    row: int = 0
    """Losing ones in a row, now."""
    too_many: tuple[RoundTurn, ...] = ()
    """Losing ones that made the row too long, each."""
    running: Mapping[ContractId, Money] = {}
    """The result so far of round turns that are not finished."""


class LossStreakRule(Resting):
    """Losing round turns in a row."""

    name = "loss_streak"

    def __init__(self, config: LossStreak, calendar: Resets) -> None:
        super().__init__(calendar, flatten=True)
        self._losses, self._length = config.losses, config.lockout
        self._turns = DayFold(Turns(), self._turned_with)

    def can_wait(self, snapshot: AccountSnapshot) -> bool:
        return not self._turns.of(snapshot.fills).too_many

    def rests(self, snapshot: AccountSnapshot, now: Now) -> list[Rest]:
        turns = self._turns.of(snapshot.fills)
        found = [Rest(self._breach(turn), self._length) for turn in turns.too_many]
        if found and turns.row >= self._losses:
            found[-1] = Rest(found[-1].breach, found[-1].length, lasts=True)
        return found

    def _turned_with(self, turns: Turns, booked: BookedFill) -> Turns:
        fill = booked.fill
        result = turns.running.get(fill.contract, 0) + (fill.pnl or 0)
        running = {**turns.running, fill.contract: 0 if booked.flat_after else result}
        if not booked.flat_after or booked.own is OwnClose.LOCKOUT:
            return Turns(turns.row, turns.too_many, running)
        row = turns.row + 1 if result < 0 else 0 if result > 0 else turns.row
        too_many = turns.too_many
        if row >= self._losses and result < 0:
            too_many = (*too_many, RoundTurn(booked, result, row))
        return Turns(row, too_many, running)

    def _breach(self, turn: RoundTurn) -> Breach:
        return self.begun_by(
            turn.last,
            value=str(turn.row),
            limit=str(self._losses),
            text=f"{turn.row} losing trades in a row",
            inputs={"row_before": str(turn.row - 1), "last_result": money_text(turn.result)},
        )

    def figure(self, state: Episodes, snapshot: AccountSnapshot) -> Figure:
        row = self._turns.of(snapshot.fills).row
        left = str(max(0, self._losses - row))
        return Figure(str(row), str(self._losses), row / self._losses, left, None)

    def probe(self, now: Now) -> Probe:
        def lost(results: tuple[int, ...]) -> tuple[AccountSnapshot, ...]:
            record, fills, story = sandbox.contract(), list[BookedFill](), [sandbox.snapshot(now)]
            for number, result in enumerate(results, start=1):
                at = sandbox.after(now, number)
                fills.append(sandbox.closing_fill(record, number, -1, at.wall, result))
                if number >= len(results) - 1:
                    story.append(sandbox.snapshot(at, fills=fills, cause=f"fill:{number}"))
            return tuple(story)

        losses = (-10_000,) * self._losses
        return Probe(lost(losses), lost((*losses[1:], 10_000)))
