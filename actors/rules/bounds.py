"""Which rules a price change must wake: bounds, evaluated in the account.

Judging a bound costs a fraction of a microsecond, waking an actor tens of them; so the account
looks at the bounds of every rule on every price and wakes a rule only when one is crossed, either
way.
"""

from __future__ import annotations

from typing import assert_never

from actors.messages import AccountSnapshot, ContractId, Exact

from .rule import Bound, Measure

type Side = tuple[object, ...]
"""On which side of each of its bounds a rule stands; it is woken when this changes."""


def side(bounds: tuple[Bound, ...], snapshot: AccountSnapshot) -> Side:
    return tuple(_side(bound, snapshot) for bound in bounds)


def _side(bound: Bound, snapshot: AccountSnapshot) -> object:
    match bound.measure:
        case Measure.NET:
            return _within(bound, snapshot.realized + snapshot.unrealized)
        case Measure.NET_PROFIT:
            return _within(bound, snapshot.realized + snapshot.unrealized_profit)
        case Measure.UNREALIZED:
            return _within(bound, snapshot.unrealized)
        case Measure.UNREALIZED_PROFIT:
            return _within(bound, snapshot.unrealized_profit)
        case Measure.POSITION:
            return _sides(bound, [(p.contract, p.unrealized) for p in snapshot.positions])
        case Measure.POSITION_PROFIT:
            return _sides(bound, [(p.contract, p.unrealized_profit) for p in snapshot.positions])
        case Measure.PROFIT_MARK:
            marks = (p.profit_mark for p in snapshot.positions if p.contract == bound.contract)
            mark = next(marks, None)
            return _within(bound, mark) if bound.limits else mark
        case _:
            assert_never(bound.measure)


def _sides(bound: Bound, worths: list[tuple[ContractId, Exact | None]]) -> object:
    """Positions within the bound, and those that cannot be told: a price that comes back wakes, too."""
    sides = [(contract, _within(bound, worth)) for contract, worth in worths]
    return tuple(side for side in sides if side[1] is not False)


def _within(bound: Bound, value: Exact | None) -> bool | None:
    if value is None:
        return None
    return (bound.at_most is not None and value <= bound.at_most) or (
        bound.at_least is not None and value >= bound.at_least
    )
