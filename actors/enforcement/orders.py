"""Which working orders only reduce, and which could open risk. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from actors.messages import STOP_TYPES, ContractId, Order, OrderStatus, OrderType
from actors.rules.protection import OWN_TAG


def closing_side(order: Order, size: int) -> bool:
    """On the side that would close an open size of `size` (signed); nothing closes what is flat."""
    return order.rest * size < 0


def reduces(order: Order, size: int) -> bool:
    """Only reduces: on the closing side and no larger than the position."""
    return order.rest * size < 0 and abs(order.rest) <= abs(size)


def is_ours(order: Order) -> bool:
    """Placed by us: its tag is how it is found again after an unknown outcome."""
    return order.tag is not None and order.tag.startswith(OWN_TAG)


def is_stop(order: Order) -> bool:
    return order.type in STOP_TYPES


def is_market(order: Order) -> bool:
    return order.type is OrderType.MARKET


def orphaned(order: Order, orders: Iterable[Order]) -> bool:
    """A suspended bracket child whose entry no longer works: it can be cancelled by itself."""
    if order.status is not OrderStatus.SUSPENDED:
        return False
    return not any(other.id == order.parent and other.working for other in orders)


def beside(orders: Iterable[Order], contract: ContractId, size: int) -> tuple[Order, ...]:
    """Working orders that could fill beside a close of this position."""
    return tuple(o for o in orders if o.contract == contract and o.working and closing_side(o, size))
