"""Open positions in words and numbers: what a P&L decision used, and the price at which it would act."""

from __future__ import annotations

import math
from collections.abc import Iterable
from enum import Enum
from fractions import Fraction

from actors.messages import AccountSnapshot, Exact, Money, PositionView
from actors.money import money_text, price_text


class Side(Enum):
    """Whether a rule guards against a loss or takes a profit: its mark, and which way is beyond."""

    LOSS = -1
    PROFIT = 1

    def beyond(self, value: Exact, limit: Exact) -> bool:
        """At the limit counts: at or below it for a loss, at or above it for a profit."""
        return value <= limit if self is Side.LOSS else value >= limit

    def used(self, value: Exact, limit: Exact) -> Fraction:
        """Share of the limit that is used; nothing while the value has the other sign."""
        return max(Fraction(value) / Fraction(limit), Fraction(0))

    def worth(self, position: PositionView) -> Exact | None:
        """Unrealized P&L at the mark that the side reads."""
        return position.unrealized if self is Side.LOSS else position.unrealized_profit

    def mark(self, position: PositionView) -> Exact | None:
        return position.loss_mark if self is Side.LOSS else position.profit_mark

    def sum(self, snapshot: AccountSnapshot) -> Exact:
        """Unrealized P&L of the measured positions."""
        return snapshot.unrealized if self is Side.LOSS else snapshot.unrealized_profit


def share_of(limit: Money, share: Fraction) -> Exact:
    """Where an alert comes; an int where it is one, because every price is compared with it."""
    part = limit * share
    return part.numerator if part.denominator == 1 else part


def mark_text(side: Side, position: PositionView) -> str | None:
    mark = side.mark(position)
    if mark is None or position.record is None:
        return None
    return price_text(position.record, mark)


def marks_text(side: Side, positions: Iterable[PositionView]) -> str | None:
    """The marks of all measured positions in one line; None where there is none."""
    marks = [(p.contract, mark_text(side, p)) for p in positions]
    return ", ".join(f"{contract} {mark}" for contract, mark in marks if mark is not None) or None


def position_inputs(side: Side, positions: Iterable[PositionView]) -> dict[str, str]:
    """Everything from which a position's unrealized P&L can be worked out again."""
    return {p.contract: _terms(side, p) for p in positions}


def _terms(side: Side, position: PositionView) -> str:
    worth = side.worth(position)
    if worth is None or position.record is None:
        return f"size {position.size:+d}, unmeasured"
    return (
        f"size {position.size:+d}, cost {position.cost_ticks} ticks, mark {side.mark(position)} ticks, "
        f"{money_text(position.record.tick_value)} a tick, unrealized {money_text(worth)}"
    )


def acts_at(side: Side, position: PositionView, amount: Exact) -> str | None:
    """The first price at which the position would be worth `amount` or be beyond it."""
    if position.record is None or position.cost_ticks is None or position.size == 0:
        return None
    ticks = (Fraction(amount) / position.record.tick_value + position.cost_ticks) / position.size
    falls = (side is Side.LOSS) == (position.size > 0)
    return price_text(position.record, math.floor(ticks) if falls else math.ceil(ticks))
