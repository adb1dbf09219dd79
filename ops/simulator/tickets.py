"""A new order as it is asked for: what the broker objects to in it, and the orders it becomes."""

from datetime import datetime
from fractions import Fraction

import msgspec
from msgspec.structs import replace

from ops.simulator.contracts import Contract
from ops.simulator.records import Order, OrderType, Side, Status
from ops.simulator.state import State

#: Which price an order type cannot do without.
NEEDS_LIMIT = frozenset({OrderType.LIMIT, OrderType.STOP_LIMIT})
NEEDS_STOP = frozenset({OrderType.STOP, OrderType.STOP_LIMIT})
#: Order types that are priced by the market as it stands.
NEEDS_TOUCH = frozenset({OrderType.MARKET, OrderType.JOIN_BID, OrderType.JOIN_ASK})

NO_PRICE = "No market price is available for this contract."


class Bracket(msgspec.Struct, frozen=True):
    """A protective leg: its distance from the entry in ticks (the sign is ignored), and its order type."""

    ticks: int
    type: OrderType


class Ticket(msgspec.Struct, frozen=True, kw_only=True):
    """A new order as it is asked for. `trail_price` is a price level, as in the gateway's request."""

    account_id: int
    contract_id: str
    side: Side
    type: OrderType
    size: int
    limit_price: Fraction | None = None
    stop_price: Fraction | None = None
    trail_price: Fraction | None = None
    tag: str | None = None
    linked_id: int | None = None
    stop_loss: Bracket | None = None
    take_profit: Bracket | None = None

    def snapped(self, contract: Contract) -> "Ticket":
        """The ticket with prices that are a rounding error off a tick put onto it."""
        return replace(
            self,
            limit_price=contract.snapped(self.limit_price),
            stop_price=contract.snapped(self.stop_price),
            trail_price=contract.snapped(self.trail_price),
        )


def objection(state: State, ticket: Ticket, contract: Contract) -> str | None:
    """Why the broker rejects an order, in its words; None if it does not."""
    market = state.price(contract.id)
    if ticket.size <= 0:
        return "Invalid order size."
    if ticket.type in NEEDS_LIMIT and ticket.limit_price is None:
        return "Limit price is missing."
    if ticket.type in NEEDS_STOP and ticket.stop_price is None:
        return "Stop price is missing."
    if ticket.type is OrderType.TRAILING_STOP and (ticket.trail_price is None or market.traded is None):
        return "Trail price or market price is missing."
    if not all(
        fits(contract, price) for price in (ticket.limit_price, ticket.stop_price, ticket.trail_price)
    ):
        return "Invalid price. Price is not aligned to tick size."
    if ticket.type in NEEDS_TOUCH and market.touch(ticket.side) is None:
        return NO_PRICE
    if ticket.tag is not None and state.tag_used(ticket.account_id, ticket.tag):
        return "Custom tag is already in use."
    if (ticket.stop_loss or ticket.take_profit) and not state.accounts[ticket.account_id].auto_oco:
        return "Brackets cannot be used with Position Brackets."
    return None


def fits(contract: Contract, price: Fraction | None) -> bool:
    return price is None or (price > 0 and contract.aligned(price))


def order_of(state: State, now: datetime, ticket: Ticket, status: Status) -> Order:
    order = Order(
        id=state.next_order_id(),
        account_id=ticket.account_id,
        contract_id=ticket.contract_id,
        side=ticket.side,
        type=ticket.type,
        size=ticket.size,
        status=status,
        created=now,
        updated=now,
        limit_price=ticket.limit_price,
        stop_price=ticket.stop_price,
        tag=ticket.tag,
        linked_id=ticket.linked_id,
    )
    market = state.price(ticket.contract_id)
    match ticket.type:
        case OrderType.TRAILING_STOP if ticket.trail_price is not None:
            return trailing(state, order, ticket.trail_price)
        case OrderType.JOIN_BID:
            return replace(order, limit_price=market.bid or market.last)
        case OrderType.JOIN_ASK:
            return replace(order, limit_price=market.ask or market.last)
        case _:
            return order


def trailing(state: State, order: Order, level: Fraction) -> Order:
    """A trailing stop is asked for with a price level; what is kept and read back is the distance."""
    last = state.price(order.contract_id).traded
    return replace(order, stop_price=level, trail_distance=abs((level if last is None else last) - level))


def legs_of(state: State, now: datetime, entry: Order, ticket: Ticket) -> list[Order]:
    """Bracket legs: suspended and without a price until the entry fills, each cancelling the other."""
    wanted = [
        (leg, suffix, towards * entry.side.sign * abs(leg.ticks))
        for leg, suffix, towards in ((ticket.stop_loss, "-SL", -1), (ticket.take_profit, "-TP", 1))
        if leg is not None
    ]
    ids = [state.next_order_id() for _ in wanted]
    return [
        Order(
            id=ids[i],
            account_id=entry.account_id,
            contract_id=entry.contract_id,
            side=entry.side.opposite,
            type=leg.type,
            size=entry.size,
            status=Status.SUSPENDED,
            created=now,
            updated=now,
            tag=f"{entry.tag}{suffix}" if entry.tag else None,
            parent_id=entry.id,
            linked_id=ids[1 - i] if len(ids) == 2 else None,
            bracket_ticks=ticks,
        )
        for i, (leg, suffix, ticks) in enumerate(wanted)
    ]
