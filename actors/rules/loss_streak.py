"""Several losing trades in a row: time to stop (no number; an addition to the thirteen).

A trade here is a round turn, flat to flat in one contract; its result is the sum of the fills' P&L. A
result of exactly 0 neither counts nor breaks the row, a win breaks it. Each further loss of the row
begins the rest anew. A round turn that a lockout ended counts for nothing.
"""

from __future__ import annotations

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
from .episodes import Episodes
from .exposure import in_order
from .locks import Resets
from .rests import Rest, Resting
from .rule import Probe


class RoundTurn(Struct, frozen=True, gc=False):
    """A finished round turn, by the fill that ended it, and the losing row it ends."""

    last: BookedFill
    result: Money
    row: int


class LossStreakRule(Resting):
    """Losing round turns in a row."""

    name = "loss_streak"

    def __init__(self, config: LossStreak, calendar: Resets) -> None:
        super().__init__(calendar, flatten=True)
        self._losses, self._length = config.losses, config.lockout

    def rests(self, snapshot: AccountSnapshot, now: Now) -> list[Rest]:
        turns = _round_turns(snapshot)
        row_now = turns[-1].row if turns else 0
        found = [
            Rest(self._breach(turn), self._length)
            for turn in turns
            if turn.row >= self._losses and turn.result < 0
        ]
        if found and row_now >= self._losses:
            found[-1] = Rest(found[-1].breach, found[-1].length, lasts=True)
        return found

    def _breach(self, turn: RoundTurn) -> Breach:
        return self.begun_by(
            turn.last,
            value=str(turn.row),
            limit=str(self._losses),
            text=f"{turn.row} losing trades in a row",
            inputs={"last_result": money_text(turn.result)},
        )

    def figure(self, state: Episodes, snapshot: AccountSnapshot) -> Figure:
        turns = _round_turns(snapshot)
        row = turns[-1].row if turns else 0
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


def _round_turns(snapshot: AccountSnapshot) -> list[RoundTurn]:
    running, found, row = dict[ContractId, Money](), list[RoundTurn](), 0
    for booked in in_order(snapshot.fills):
        fill = booked.fill
        result = running.get(fill.contract, 0) + (fill.pnl or 0)
        running[fill.contract] = 0 if booked.flat_after else result
        if not booked.flat_after or booked.own is OwnClose.LOCKOUT:
            continue
        row = row + 1 if result < 0 else 0 if result > 0 else row
        found.append(RoundTurn(booked, result, row))
    return found
