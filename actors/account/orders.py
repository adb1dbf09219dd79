"""Working orders: the newest version of each, and its end in one step with the fill that ended it.

The gateway may tell that a stop filled before it tells the trade. Shown at once, the position would stand
there without its stop for that moment, and another one would be placed: so an order's new version waits
until the fills that it speaks of are counted, or a later read settles both.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from actors.messages import TERMINAL, BrokerSnapshot, Fill, Order, OrderChanged
from actors.rules.rule import Wake

from .state import AccountState, Filling, SeenOrder, Step, finish


def changed(state: AccountState, event: OrderChanged) -> Step:
    """One order as the stream tells it."""
    order, cause = event.order, f"order:{event.order.id}"
    known, waiting = state.orders.get(order.id), state.filling.get(order.id)
    newest = waiting.order if waiting else known.order if known else None
    if order.id in state.finished or (newest is not None and _older(order, newest)):
        return Step(state, frozenset(), cause)
    left = _uncounted(state, order, known, waiting)
    if left > 0:
        filling = {**state.filling, order.id: Filling(order, event.mono, left)}
        return Step(msgspec.structs.replace(state, filling=filling), frozenset(), cause)
    return Step(_taken(state, order, event.mono), frozenset({Wake.ORDER}), cause, order.updated_at)


def filled(state: AccountState, fills: Iterable[Fill]) -> AccountState:
    """Fills were counted: what waited for the last of them is shown now."""
    for fill in fills:
        waiting = state.filling.get(fill.order)
        if waiting is None:
            state = _used_up(state, fill)
            continue
        left = waiting.left - abs(fill.size)
        if left <= 0:
            state = _taken(state, waiting.order, waiting.mono)
        else:
            filling = {**state.filling, fill.order: msgspec.structs.replace(waiting, left=left)}
            state = msgspec.structs.replace(state, filling=filling)
    return state


def _used_up(state: AccountState, fill: Fill) -> AccountState:
    """An order whose fills were all counted works no more, though the word of its end is late."""
    known = state.orders.get(fill.order)
    if known is None:
        return state
    counted = sum(abs(b.fill.size) for b in state.ledger.booked if b.fill.order == fill.order)
    if counted < abs(known.order.size):
        return state
    orders = {id_: seen for id_, seen in state.orders.items() if id_ != fill.order}
    return msgspec.structs.replace(state, orders=orders, finished=finish(state.finished, (fill.order,)))


def read(state: AccountState, event: BrokerSnapshot) -> AccountState:
    """The orders of a read; one that was heard of since it began is newer."""
    begun = event.started_mono
    kept = state.filling.items()
    # The fills that an order waits for came with this read, or are older than it.
    filling = {i: waiting for i, waiting in kept if waiting.mono >= begun or not event.fills_read}
    later = {i: seen for i, seen in state.orders.items() if seen.mono >= begun or i in filling}
    final = [order.id for order in event.orders if order.status in TERMINAL and order.id not in later]
    finished = finish(state.finished, final) if final else state.finished
    listed = {
        order.id: SeenOrder(order, begun, _counted(state, order))
        for order in event.orders
        if order.id not in later and order.id not in finished
    }
    return msgspec.structs.replace(state, orders={**listed, **later}, filling=filling, finished=finished)


def _uncounted(state: AccountState, order: Order, known: SeenOrder | None, waiting: Filling | None) -> int:
    """Contracts that this version says were filled and no fill told of."""
    if waiting is not None:
        return waiting.left + abs(order.filled) - abs(waiting.order.filled)
    if known is None:
        return 0
    more = abs(order.filled) - abs(known.order.filled)
    return more - (_counted(state, order) - known.counted) if more > 0 else 0


def _counted(state: AccountState, order: Order) -> int:
    """Contracts of the order that the day's fills tell of."""
    if not order.filled:
        return 0
    return sum(abs(b.fill.size) for b in state.ledger.booked if b.fill.order == order.id)


def _taken(state: AccountState, order: Order, mono: float) -> AccountState:
    orders = {i: seen for i, seen in state.orders.items() if i != order.id}
    filling = {i: waiting for i, waiting in state.filling.items() if i != order.id}
    finished = state.finished
    if order.status in TERMINAL:
        finished = finish(finished, (order.id,))
    else:
        orders[order.id] = SeenOrder(order, mono, _counted(state, order))
    return msgspec.structs.replace(state, orders=orders, filling=filling, finished=finished)


def _older(order: Order, known: Order) -> bool:
    return order == known or order.updated_at < known.updated_at
