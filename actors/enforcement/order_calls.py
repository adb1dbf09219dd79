"""Calls for single orders: change, cancel and place one, each no oftener than it may be."""

from __future__ import annotations

from actors.messages import AccountSnapshot, Call, CallKind, Order, OrderId, OrderType, PositionView

from .memory import Pursuit
from .pursuit import may_change_order, may_place, sent_again
from .turn import Turn

CHANGE_EVERY_S = 1.0
"""At most one change per protective order in this time."""


def order_key(order: OrderId) -> str:
    """Where the pursuit of an order is kept."""
    return f"order {order}"


def change(
    turn: Turn,
    snapshot: AccountSnapshot,
    receipt: str,
    order: Order,
    kind: CallKind,
    *,
    stop: float | None = None,
    limit: float | None = None,
    total: int = 0,
) -> None:
    """Change or cancel an order; a change at most once a second."""
    key = order_key(order.id)
    before = turn.pursuits.get(key)
    if kind is CallKind.CANCEL:
        may = may_change_order(before, snapshot, turn.now)
    else:
        may = _may_move(before, turn.now.mono)
    if not may:
        return
    if stop is not None and order.type is OrderType.STOP_LIMIT and order.limit_price is not None:
        limit = order.limit_price + (stop - (order.stop_price or stop))
    call = turn.call(
        receipt,
        kind,
        order.contract,
        size=total,
        order=order.id,
        stop_price=stop,
        limit_price=limit,
        protective=kind is CallKind.CANCEL,
    )
    failures, alerted = 0, None
    if before is not None and _same(before.call, call):
        failures, alerted, _ = sent_again(before, 0, kind)
    turn.pursuits[key] = Pursuit(call, receipt, turn.now.mono, failures=failures, alerted_mono=alerted)


def _same(one: Call, other: Call) -> bool:
    """Asks for the same: another price or size is a new wish, not a failed one."""
    return (one.kind, one.size, one.stop_price, one.limit_price) == (
        other.kind,
        other.size,
        other.stop_price,
        other.limit_price,
    )


def _may_move(before: Pursuit | None, mono: float) -> bool:
    if before is None:
        return True
    return not before.flying and mono >= before.retry_mono and mono - before.sent_mono >= CHANGE_EVERY_S


def place(
    turn: Turn,
    snapshot: AccountSnapshot,
    receipt: str,
    position: PositionView,
    type_: OrderType,
    price: float,
    size: int,
) -> None:
    name = "stop" if type_ is OrderType.STOP else "target"
    key = f"{name} {position.contract}"
    before = turn.pursuits.get(key)
    if not may_place(before, snapshot, turn.now, turn.settle_s):
        return
    failures, alerted, _ = sent_again(before, 0, CallKind.PLACE)
    call = turn.call(
        receipt,
        CallKind.PLACE,
        position.contract,
        size=-size if position.size > 0 else size,
        order_type=type_,
        stop_price=price if type_ is OrderType.STOP else None,
        limit_price=None if type_ is OrderType.STOP else price,
        protective=type_ is OrderType.STOP,
    )
    turn.pursuits[key] = Pursuit(call, receipt, turn.now.mono, failures=failures, alerted_mono=alerted)
