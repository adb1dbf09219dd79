"""What an execution does: to the order, the trades, the position, the balance, and the bracket around it.

Average cost book-keeping: adding to a position averages its price, reducing it keeps the average, and an
execution through flat closes the old size at the old average and opens the rest at its own price. Such a
reversal is one execution and therefore one trade row, which carries the P&L of the part it closed and the
fees of all of it.
"""

from datetime import datetime
from fractions import Fraction

import msgspec
from msgspec.structs import replace

from ops.simulator.records import FINAL, Action, Change, Order, OrderType, Position, Status, Trade
from ops.simulator.state import State


class Netting(msgspec.Struct, frozen=True):
    """A position after an execution, and what the execution closed: contracts, and price distance earned."""

    size: int
    average: Fraction
    closed: int
    earned: Fraction


def net(size: int, average: Fraction, executed: int, price: Fraction) -> Netting:
    """Applies a signed execution to a signed position. `earned` is per contract closed, summed."""
    after = size + executed
    if size * executed >= 0:
        return Netting(after, (average * abs(size) + price * abs(executed)) / abs(after), 0, Fraction(0))
    closed = min(abs(size), abs(executed))
    earned = (price - average) * closed * (1 if size > 0 else -1)
    return Netting(after, price if size * after < 0 else average, closed, earned)


def fill(state: State, now: datetime, order: Order, size: int, price: Fraction) -> list[Change]:
    """Executes `size` contracts of an order at a price.

    The events come as a live gateway sends them: order, trade, position, account, and then what happens to
    the bracket: its legs become working once the entry is complete, the sibling of a complete leg is
    cancelled.
    """
    order = _executed(order, now, size, price)
    changes = [stored(state, order)]
    changes += _booked(state, now, order, size, price)
    if order.status is Status.FILLED:
        for leg in state.children(order.id):
            changes.append(stored(state, _placed_leg(state, now, order, leg)))
        changes += cancel_sibling(state, now, order)
    return changes


def stored(state: State, order: Order) -> Change:
    """Keeps an order's new state; live streams say "deleted" of an order that is over."""
    state.keep(order)
    return Change(Action.DELETED if order.status in FINAL else Action.UPDATED, order)


def cancelled(state: State, now: datetime, order: Order) -> list[Change]:
    """Cancels an order, and the suspended bracket legs that waited for it."""
    changes = [stored(state, replace(order, status=Status.CANCELLED, updated=now))]
    waiting = [leg for leg in state.children(order.id) if leg.status is Status.SUSPENDED]
    return changes + [stored(state, replace(leg, status=Status.CANCELLED, updated=now)) for leg in waiting]


def cancel_sibling(state: State, now: datetime, order: Order) -> list[Change]:
    """One cancels the other: ends the order that this one is linked with, if it still works."""
    sibling = state.orders.get(order.linked_id) if order.linked_id is not None else None
    if sibling is None or sibling.status in FINAL:
        return []
    return cancelled(state, now, sibling)


def _executed(order: Order, now: datetime, size: int, price: Fraction) -> Order:
    before = (order.filled_price or Fraction(0)) * order.filled
    filled = order.filled + size
    return replace(
        order,
        filled=filled,
        filled_price=(before + price * size) / filled,
        status=Status.FILLED if filled == order.size else Status.OPEN,
        updated=now,
    )


def _booked(state: State, now: datetime, order: Order, size: int, price: Fraction) -> list[Change]:
    account, contract = state.accounts[order.account_id], state.contract(order.contract_id)
    held = state.position(account.id, contract.id)
    netting = net(held.size if held else 0, held.average if held else price, order.side.sign * size, price)
    trade = Trade(
        id=state.next_trade_id(),
        account_id=account.id,
        contract_id=contract.id,
        order_id=order.id,
        side=order.side,
        size=size,
        price=price,
        pnl=contract.money(netting.earned) if netting.closed else None,
        fees=state.fees * size,
        commissions=state.commissions * size,
        at=now,
    )
    state.trades[trade.id] = trade
    balance = account.balance + (trade.pnl or 0) - trade.fees - trade.commissions
    state.accounts[account.id] = account = replace(account, balance=balance)
    return [
        Change(Action.CREATED, trade),
        moved(state, now, order.account_id, order.contract_id, netting.size, netting.average, held),
        Change(Action.UPDATED, account),
    ]


def moved(
    state: State,
    now: datetime,
    account_id: int,
    contract_id: str,
    size: int,
    average: Fraction,
    held: Position | None,
) -> Change:
    """Keeps a position's new size and average. A reversal keeps the row's id and renews its creation time."""
    reversed_ = held is not None and held.size * size < 0
    position = Position(
        id=held.id if held else state.next_position_id(),
        account_id=account_id,
        contract_id=contract_id,
        size=size,
        average=average,
        opened=held.opened if held and not reversed_ else now,
    )
    if size == 0:
        state.positions.pop((account_id, contract_id), None)
        return Change(Action.DELETED, position)
    state.positions[account_id, contract_id] = position
    return Change(Action.UPDATED, position)


def _placed_leg(state: State, now: datetime, entry: Order, leg: Order) -> Order:
    """A bracket leg once its entry filled: working, at its distance from the fill."""
    tick = state.contract(entry.contract_id).tick_size or Fraction(0)
    level = (entry.filled_price or Fraction(0)) + (leg.bracket_ticks or 0) * tick
    level = state.contract(entry.contract_id).nearest(level)
    leg = replace(leg, status=Status.OPEN, updated=now)
    if leg.type is OrderType.LIMIT:
        return replace(leg, limit_price=level)
    if leg.type is OrderType.TRAILING_STOP:
        return replace(leg, stop_price=level, trail_distance=abs(level - (entry.filled_price or level)))
    return replace(leg, stop_price=level)
