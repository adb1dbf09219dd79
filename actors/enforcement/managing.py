"""Protective orders of our own: a stop and a target for an open position, as rules wish them.

A stop is placed where the position lacks one at that price or better; one that is worse is moved, a
better one is never touched. Sizes follow the position, and what is left of our orders is cancelled
when it closes. Nothing is placed or moved while the account is locked or the contract must be flat.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from actors.messages import (
    AccountSnapshot,
    Called,
    CallKind,
    Contract,
    ContractId,
    Flat,
    OffGrid,
    Order,
    OrderType,
    PositionView,
    StopAt,
    TargetAt,
)

from .memory import Wish
from .needs import Limits
from .order_calls import change, place
from .orders import closing_side, is_ours, is_stop
from .turn import Turn
from .verdicts import raise_demand

OURS_KEPT = 100
RULE = "trade_management"
MOVABLE = frozenset({OrderType.STOP, OrderType.STOP_LIMIT})


def scope(contract: ContractId) -> str:
    return f"manage {contract}"


def look_after_ours(turn: Turn, snapshot: AccountSnapshot) -> None:
    """Know our orders again, and see to it that the position that both legs leave is closed at once."""
    if turn.wishes or turn.ours or _any_ours(snapshot):
        _remember_ours(turn, snapshot)
        _close_turned(turn, snapshot)


def manage(turn: Turn, snapshot: AccountSnapshot, limits: Limits) -> set[str]:
    """Place, move and clear our protective orders; the receipts that still lack something."""
    if limits.locked or limits.account_flat:
        return set()
    if not turn.wishes and not _any_ours(snapshot):
        return set()
    lacking = _clear(turn, snapshot, limits)
    wished = [wish.demand.contract for wish in turn.wishes]
    ours = [order.contract for order in snapshot.orders if is_ours(order)]
    for contract in dict.fromkeys((*wished, *ours)):
        position = snapshot.position(contract)
        if position is None:
            _forget(turn, snapshot, contract)
        elif (
            position.record is not None and not position.disputed and not _is_closing(turn, contract, limits)
        ):
            lacking |= _protect(turn, snapshot, position, position.record)
    return lacking


def _any_ours(snapshot: AccountSnapshot) -> bool:
    return any(is_ours(order) for order in snapshot.orders)


def _is_closing(turn: Turn, contract: ContractId, limits: Limits) -> bool:
    return contract in limits.sizes or contract in turn.pursuits


def _is_for(wish: Wish, position: PositionView) -> bool:
    """Meant for this very position: a price that was right for the one before may be on the wrong side."""
    same_side = wish.long == (position.size > 0)
    return wish.demand.contract == position.contract and same_side and wish.opened_at == position.opened_at


def _forget(turn: Turn, snapshot: AccountSnapshot, contract: ContractId) -> None:
    """The position is closed: what was wished for it ends with it."""
    if not snapshot.suspended:
        turn.wishes = tuple(w for w in turn.wishes if w.demand.contract != contract)


# ------------------------------------------------------------------------------ our orders


def _remember_ours(turn: Turn, snapshot: AccountSnapshot) -> None:
    seen = {order.id: order.tag for order in snapshot.orders if is_ours(order)}
    new = tuple(id_ for id_ in seen if id_ not in turn.ours)
    if new:
        turn.ours = (*turn.ours, *new)[-OURS_KEPT:]
    tags = set(seen.values())
    for key, pursuit in tuple(turn.pursuits.items()):
        # The order may be seen before the gateway's answer: the receipt still waits for that.
        if pursuit.call.kind is CallKind.PLACE and pursuit.call.tag in tags and not pursuit.flying:
            del turn.pursuits[key]


def placed(turn: Turn, called: Called) -> None:
    """Remember an order that the gateway says it took."""
    if called.call.kind is CallKind.PLACE and called.order is not None and called.order not in turn.ours:
        turn.ours = (*turn.ours, called.order)[-OURS_KEPT:]


def _close_turned(turn: Turn, snapshot: AccountSnapshot) -> None:
    """Both legs filled: the position that the second one opened is closed at once."""
    for position in snapshot.positions:
        contract = position.contract
        if not _opened_by_ours(turn, snapshot, position):
            continue
        if not any(one.rule == RULE and one.demand == Flat(contract) and one.acts for one in turn.standing):
            receipt = raise_demand(turn, RULE, Flat(contract), (), snapshot.now.mono, demanded=False)
            turn.note(receipt, f"stop and target of {contract} both filled; what the second opened is closed")


def _opened_by_ours(turn: Turn, snapshot: AccountSnapshot, position: PositionView) -> bool:
    if not turn.ours or not position.lots:
        return False
    newest = position.lots[-1].fill
    return any(
        booked.fill.id == newest and booked.opened and booked.fill.order in turn.ours
        for booked in snapshot.fills
    )


def _clear(turn: Turn, snapshot: AccountSnapshot, limits: Limits) -> set[str]:
    """Our orders that close nothing any more, or a second time, are cancelled; too large ones are cut."""
    lacking = set[str]()
    first = set[tuple[ContractId, bool]]()
    for order in snapshot.orders:
        if not is_ours(order) or not order.working or order.contract in limits.flat:
            continue
        position = snapshot.position(order.contract)
        size = 0 if position is None else position.size
        leg = (order.contract, is_stop(order))
        needless = not closing_side(order, size) or leg in first
        first.add(leg)
        if (not needless and abs(order.rest) <= abs(size)) or order.contract in turn.pursuits:
            continue
        receipt = _receipt(turn, order.contract, (RULE,), ())
        lacking.add(receipt)
        if needless:
            change(turn, snapshot, receipt, order, CallKind.CANCEL)
        else:
            change(turn, snapshot, receipt, order, CallKind.MODIFY, total=abs(order.filled) + abs(size))
    return lacking


def _receipt(
    turn: Turn, contract: ContractId, rules: Iterable[str], demands: tuple[StopAt | TargetAt, ...]
) -> str:
    """The open receipt of this contract's protective orders, asking for what is wished now."""
    present = turn.open_receipt(scope(contract))
    if present is None:
        present = turn.new_receipt(scope(contract), turn.seen_mono())
    names = tuple(dict.fromkeys((*present.rules, *rules)))
    turn.change(
        msgspec.structs.replace(present, rules=names, demands=demands or present.demands, managed=True)
    )
    return present.id


# ------------------------------------------------------------------------------ stop and target


def _protect(turn: Turn, snapshot: AccountSnapshot, position: PositionView, record: Contract) -> set[str]:
    wishes = [wish for wish in turn.wishes if _is_for(wish, position)]
    lacking = set[str]()
    stops = [wish for wish in wishes if isinstance(wish.demand, StopAt)]
    if not stops:
        lacking |= _give_way(turn, snapshot, position, filter(is_stop, _closing(snapshot, position)))
    else:
        tightest = (max if position.size > 0 else min)(stops, key=lambda wish: wish.demand.ticks)
        lacking |= _protect_stop(turn, snapshot, position, record, tightest)
    targets = [wish for wish in wishes if isinstance(wish.demand, TargetAt)]
    if targets:
        lacking |= _protect_target(turn, snapshot, position, record, targets[0])
    return lacking


def _protect_stop(
    turn: Turn, snapshot: AccountSnapshot, position: PositionView, record: Contract, wish: Wish
) -> set[str]:
    """Cover the whole position at this price or better: move what is worse, add what is missing."""
    ticks, size = wish.demand.ticks, position.size
    stops = [o for o in _closing(snapshot, position) if is_stop(o)]
    good = [o for o in stops if _at_or_better(o, record, ticks, size)]
    missing = abs(size) - sum(abs(o.rest) for o in good)
    if missing <= 0:
        return _give_way(turn, snapshot, position, good)
    receipt = _receipt(turn, position.contract, (wish.rule,), _wished(turn, position.contract))
    price = float(record.price(ticks))
    worse = [o for o in stops if o not in good and o.type in MOVABLE]
    for order in sorted(worse, key=lambda o: not is_ours(o)):
        if missing > 0:
            change(turn, snapshot, receipt, order, CallKind.MODIFY, stop=price, total=abs(order.size))
            missing -= abs(order.rest)
    if missing > 0:
        ours = next((o for o in good if is_ours(o)), None)
        if ours is not None:
            change(turn, snapshot, receipt, ours, CallKind.MODIFY, total=abs(ours.size) + missing)
        elif not any(is_ours(o) for o in worse):
            place(turn, snapshot, receipt, position, OrderType.STOP, price, missing)
    return {receipt}


def _give_way(
    turn: Turn, snapshot: AccountSnapshot, position: PositionView, stops: Iterable[Order]
) -> set[str]:
    """The trader's own stops cover the whole position: ours could only fill beside them."""
    covered = sum(abs(o.rest) for o in stops if not is_ours(o))
    ours = [o for o in stops if is_ours(o)]
    if covered < abs(position.size) or not ours:
        return set()
    receipt = _receipt(turn, position.contract, (RULE,), ())
    for order in ours:
        change(turn, snapshot, receipt, order, CallKind.CANCEL)
    return {receipt}


def _protect_target(
    turn: Turn, snapshot: AccountSnapshot, position: PositionView, record: Contract, wish: Wish
) -> set[str]:
    """A limit for the whole position at this price, unless the trader has one of his own."""
    limits = [o for o in _closing(snapshot, position) if o.type is OrderType.LIMIT]
    ours = next((o for o in limits if is_ours(o)), None)
    size = abs(position.size)
    price = float(record.price(wish.demand.ticks))
    if ours is None:
        if limits:
            return set()
        receipt = _receipt(turn, position.contract, (wish.rule,), _wished(turn, position.contract))
        place(turn, snapshot, receipt, position, OrderType.LIMIT, price, size)
        return {receipt}
    if abs(ours.rest) == size and ours.limit_price == price:
        return set()
    receipt = _receipt(turn, position.contract, (wish.rule,), _wished(turn, position.contract))
    change(turn, snapshot, receipt, ours, CallKind.MODIFY, limit=price, total=abs(ours.filled) + size)
    return {receipt}


def _closing(snapshot: AccountSnapshot, position: PositionView) -> list[Order]:
    return [
        o
        for o in snapshot.orders
        if o.contract == position.contract and o.working and closing_side(o, position.size)
    ]


def _wished(turn: Turn, contract: ContractId) -> tuple[StopAt | TargetAt, ...]:
    return tuple(wish.demand for wish in turn.wishes if wish.demand.contract == contract)


def _at_or_better(order: Order, record: Contract, ticks: int, size: int) -> bool:
    if order.stop_price is None:
        return False
    try:
        there = record.ticks(order.stop_price)
    except OffGrid:
        return False
    return there >= ticks if size > 0 else there <= ticks
