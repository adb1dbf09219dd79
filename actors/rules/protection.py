"""Which working orders protect a position.

A protective stop is a stop, stop limit or trailing stop that works (Open or Pending), in the same
contract, on the closing side, with its trigger on the losing side of the mark: below it for a long,
above it for a short, and beyond entry once the market is. A take-profit limit protects nothing, nor
does a suspended bracket child until it is open. Together the stops must cover the whole position.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction

from actors.messages import STOP_TYPES, TERMINAL, Exact, Order, OrderStatus, OrderType, PositionView

OWN_TAG = "riskd-"
"""Begins the custom tag of every order that was placed by enforcement."""

_WORKS = frozenset({OrderStatus.OPEN, OrderStatus.PENDING})
_NOT_ANNOUNCED = TERMINAL | {OrderStatus.UNKNOWN}
"""A status that nobody documented may be anything, so it protects nothing."""


def is_protected(position: PositionView, orders: Iterable[Order]) -> bool:
    """Whether valid stops cover the whole position."""
    return _covers(position, (o for o in stops_of(position, orders) if _on_losing_side(o, position)))


def stops_of(position: PositionView, orders: Iterable[Order]) -> list[Order]:
    """Working stop orders on the closing side of the position, wherever they trigger."""
    return [
        o
        for o in orders
        if o.contract == position.contract
        and o.type in STOP_TYPES
        and o.status in _WORKS
        and o.rest * position.size < 0
    ]


def announced_stops_of(position: PositionView, orders: Iterable[Order]) -> list[Order]:
    """Stop orders on the closing side, the suspended children of a bracket included."""
    return [
        o
        for o in orders
        if o.contract == position.contract
        and o.type in STOP_TYPES
        and o.status not in _NOT_ANNOUNCED
        and o.rest * position.size < 0
    ]


def announced_targets_of(position: PositionView, orders: Iterable[Order]) -> list[Order]:
    """Limit orders on the closing side, the suspended children of a bracket included."""
    return [
        o
        for o in orders
        if o.contract == position.contract
        and o.type is OrderType.LIMIT
        and o.status not in _NOT_ANNOUNCED
        and o.rest * position.size < 0
    ]


def trigger_ticks(order: Order, position: PositionView) -> Fraction | None:
    """Where the stop triggers, in ticks; None for one that only trails or whose contract is not measured."""
    if order.stop_price is None or position.record is None:
        return None
    return Fraction(Decimal(str(order.stop_price))) / Fraction(position.record.tick_size)


def market(position: PositionView) -> Exact | None:
    """The price that moves stops: last, else mid; the touch where there is neither."""
    return position.profit_mark if position.profit_mark is not None else position.loss_mark


def _on_losing_side(order: Order, position: PositionView) -> bool:
    """Without a fresh price (or trigger) the order's side decides: the exchange lets no stop rest beyond."""
    trigger, price = trigger_ticks(order, position), market(position)
    if trigger is None or price is None:
        return True
    return trigger < price if position.size > 0 else trigger > price


def _covers(position: PositionView, stops: Iterable[Order]) -> bool:
    return sum(abs(order.rest) for order in stops) >= abs(position.size)
