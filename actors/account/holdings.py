"""The book of one contract: signed size, cost in ticks, open lots.

Average cost: a partial close keeps the average, a reversal closes at the old average and opens
the rest at the fill price, flat resets it. The cost is kept as the exact sum of ticks x size, so
nothing drifts; it becomes a fraction only after a partial close of an uneven average.
"""

from __future__ import annotations

from datetime import datetime
from fractions import Fraction

from msgspec import Struct

from actors.messages import (
    Contract,
    ContractId,
    Exact,
    Fill,
    FillId,
    Lot,
    PositionReport,
    PositionView,
)

from .marks import Mark, loss_mark, profit_mark

ADOPTED = FillId(0)
"""Lot id of contracts that were open before the fills we know."""


class Holding(Struct, frozen=True, gc=False):
    """Open contracts of one contract id; never of size 0 (flat is no holding)."""

    contract: ContractId
    size: int
    cost: Exact | None
    """Sum of price ticks x signed size; None while the contract record is missing."""
    lots: tuple[Lot, ...]
    """Oldest first."""
    opened_at: datetime


class Filling(Struct, frozen=True, gc=False):
    """What one fill did to a contract."""

    holding: Holding | None
    opened: int
    closed: int
    closed_ticks: Exact | None
    """Ticks x contracts gained (lost: negative) by the closed part against the average cost."""


def whole(value: Fraction | int) -> Exact:
    """An int where the value is whole, so that the common path stays integer arithmetic."""
    return value if isinstance(value, int) else value.numerator if value.denominator == 1 else value


def fill_into(holding: Holding | None, fill: Fill, ticks: int | None) -> Filling:
    """Apply one fill; `ticks` is its price on the grid, None while the contract record is missing."""
    if holding is None or (holding.size > 0) == (fill.size > 0):
        return Filling(_grown(holding, fill, fill.size, ticks), abs(fill.size), 0, None)
    closed = min(abs(holding.size), abs(fill.size))
    side = 1 if holding.size > 0 else -1
    gained: Exact | None = None
    if holding.cost is not None and ticks is not None:
        gained = whole(side * closed * ticks - Fraction(holding.cost) * closed / abs(holding.size))
    left = holding.size - side * closed
    if left:
        return Filling(_shrunk(holding, left), 0, closed, gained)
    rest = fill.size + side * closed
    reopened = _grown(None, fill, rest, ticks) if rest else None
    return Filling(reopened, abs(rest), closed, gained)


def _grown(holding: Holding | None, fill: Fill, size: int, ticks: int | None) -> Holding:
    lot = Lot(fill.at, fill.id, size)
    if holding is None:
        cost = None if ticks is None else ticks * size
        return Holding(fill.contract, size, cost, (lot,), fill.at)
    total = None if ticks is None or holding.cost is None else whole(holding.cost + ticks * size)
    return Holding(fill.contract, holding.size + size, total, (*holding.lots, lot), holding.opened_at)


def _shrunk(holding: Holding, left: int) -> Holding:
    """Close from the oldest lot on, as the exchange does; the average stays."""
    cost = None if holding.cost is None else whole(Fraction(holding.cost) * left / holding.size)
    keep, lots = abs(left), list[Lot]()
    for lot in reversed(holding.lots):
        part = min(keep, abs(lot.size))
        if part == 0:
            break
        lots.append(Lot(lot.at, lot.fill, part if lot.size > 0 else -part))
        keep -= part
    return Holding(holding.contract, left, cost, tuple(reversed(lots)), holding.opened_at)


def adopt(report: PositionReport, record: Contract | None) -> Holding:
    """A position known only by the gateway's word: its average rounded to whole ticks in total."""
    cost = (
        None
        if record is None
        else round(Fraction(repr(report.average)) / Fraction(record.tick_size) * report.size)
    )
    lot = Lot(report.created_at, ADOPTED, report.size)
    return Holding(report.contract, report.size, cost, (lot,), report.created_at)


def view(
    holding: Holding,
    mark: Mark,
    record: Contract | None,
    mono: float,
    stale_after_s: float,
    disputed: int | None,
    unknown: bool,
) -> PositionView:
    """The position with what it is worth now. A disputed one shows the gateway's size, unmeasured."""
    size = holding.size if disputed is None else disputed
    loss: int | None = None
    profit: Exact | None = None
    unrealized: Exact | None = None
    unrealized_profit: Exact | None = None
    if record is not None and holding.cost is not None and disputed is None:
        loss = loss_mark(mark, size, mono, stale_after_s)
        profit = profit_mark(mark, mono, stale_after_s)
        if loss is not None:
            unrealized = whole((loss * size - holding.cost) * record.tick_value)
        if profit is not None:
            unrealized_profit = whole((profit * size - holding.cost) * record.tick_value)
    return PositionView(
        holding.contract,
        record.root if record is not None else "",
        size,
        holding.cost,
        holding.lots,
        holding.opened_at,
        record,
        loss,
        profit,
        unrealized,
        unrealized_profit,
        unknown,
        disputed is not None,
    )
