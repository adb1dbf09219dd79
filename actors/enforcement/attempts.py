"""New risk met on a locked account: counted once each, and told.

An order that was there before the lock, or that could only reduce when it was seen, is no attempt;
neither is a close of our own. The fill of an order that was counted is not counted again.
"""

from __future__ import annotations

from collections.abc import Iterable

from actors.messages import AccountSnapshot, BookedFill, Order, OwnClose

from .needs import Cancel, Close, Cut, Need
from .orders import is_ours, reduces
from .turn import Turn

REMEMBERED = 200
"""Orders remembered, the newest; a lockout meets far fewer."""


def count_attempts(turn: Turn, needs: Iterable[Need], *, was_locked: bool) -> None:
    """Count what increases risk on an account that was locked before this step."""
    snapshot = turn.snapshot
    if snapshot is None or not turn.lockouts.locked:
        return
    if was_locked:
        for need in needs:
            match need:
                case Cancel(order=order) | Cut(order=order):
                    _met_order(turn, order)
                case Close():
                    pass
        for booked in _new_fills(turn, snapshot):
            _met_fill(turn, booked)
    _note_reducing(turn, snapshot)


def _met_order(turn: Turn, order: Order) -> None:
    if order.id in turn.counted or order.id in turn.known or is_ours(order):
        return
    side = "buy" if order.size > 0 else "sell"
    _count(turn, order, f"{side} order {order.id} for {abs(order.rest)} {order.contract}")


def _met_fill(turn: Turn, booked: BookedFill) -> None:
    fill = booked.fill
    if not booked.opened or booked.own is not OwnClose.NO or fill.order in turn.known:
        return
    if fill.order not in turn.counted and fill.order not in turn.ours:
        side = "bought" if fill.size > 0 else "sold"
        turn.attempts += 1
        turn.counted = (*turn.counted, fill.order)[-REMEMBERED:]
        _say(turn, f"{side} {abs(fill.size)} {fill.contract} (fill {fill.id})")


def _count(turn: Turn, order: Order, what: str) -> None:
    turn.attempts += 1
    turn.counted = (*turn.counted, order.id)[-REMEMBERED:]
    _say(turn, what)


def _say(turn: Turn, what: str) -> None:
    key = f"enforcement/attempt/{turn.plan.memory.account}/{turn.counted[-1]}"
    turn.notify("warning", f"the account is locked: {what} is undone", key)


def _new_fills(turn: Turn, snapshot: AccountSnapshot) -> Iterable[BookedFill]:
    """Fills not seen before; after a restart those since the account was locked."""
    before = turn.plan.snapshot
    if before is not None and before.read_mono <= 0:
        before = None  # reborn: what it showed was nothing yet
    if before is not None and (before is snapshot or before.fills is snapshot.fills):
        return ()
    since = min(one.since for one in turn.lockouts.in_force)
    if before is None:  # the fill that locked is of that very instant, and no attempt
        return [booked for booked in snapshot.fills if booked.fill.at > since]
    seen = frozenset(booked.fill.id for booked in before.fills)
    new = (booked for booked in snapshot.fills if booked.fill.id not in seen and booked.fill.at >= since)
    return [booked for booked in new if not _locked_by(turn, booked)]


def _locked_by(turn: Turn, booked: BookedFill) -> bool:
    """The fill that locked; who crashed over it and takes it again has not seen it."""
    cause = f"/fill:{booked.fill.id}/"
    return any(
        one.since == booked.fill.at and one.breach is not None and cause in one.breach
        for one in turn.lockouts.in_force
    )


def _note_reducing(turn: Turn, snapshot: AccountSnapshot) -> None:
    sizes = {p.contract: p.size for p in snapshot.positions}
    new = [
        order.id
        for order in snapshot.orders
        if order.id not in turn.known
        and order.id not in turn.counted
        and reduces(order, sizes.get(order.contract, 0))
    ]
    if new:
        turn.known = (*turn.known, *new)[-REMEMBERED:]
