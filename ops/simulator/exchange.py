"""The broker's answers to requests: place, cancel, modify, close. Pure: `now` is an argument, events are results.

Error codes are the gateway's documented ones, each endpoint with its own table. What the documents leave
open is decided here:

- canTrade false refuses new orders (4 AccountViolation); cancel, modify and close go on working.
- A contract without a price refuses market orders and closes; resting orders are accepted.
- A rejected order is kept, has an id, and is told to the stream with status 5.
- A stop that the market has already passed fires at once.
- closeContract leaves bracket legs working, unless the state says otherwise.
"""

from datetime import datetime
from fractions import Fraction

import msgspec
from msgspec.structs import replace

from ops.simulator.contracts import Contract
from ops.simulator.fills import adverse, cancelled, fill, stored
from ops.simulator.matching import fill_price, followed
from ops.simulator.prices import Price
from ops.simulator.records import (
    FINAL,
    CancelCode,
    Change,
    CloseCode,
    Order,
    OrderType,
    Outcome,
    PartialCloseCode,
    PlaceCode,
    Position,
    Side,
    Status,
)
from ops.simulator.state import State

#: Which price an order type cannot do without.
NEEDS_LIMIT = frozenset({OrderType.LIMIT, OrderType.STOP_LIMIT})
NEEDS_STOP = frozenset({OrderType.STOP, OrderType.STOP_LIMIT})

NO_PRICE = "No market price is available for this contract."
CLOSED = "The market is closed."


class Bracket(msgspec.Struct, frozen=True):
    """A protective leg: its distance from the entry in ticks, and its order type."""

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


class Exchange:
    """One broker's order desk over its state."""

    def __init__(self, state: State) -> None:
        self.state = state

    def place(self, now: datetime, ticket: Ticket) -> Outcome:
        account = self.state.accounts.get(ticket.account_id)
        contract = self.state.catalogue.find(ticket.contract_id)
        if account is None:
            return Outcome(code=PlaceCode.ACCOUNT_NOT_FOUND, message="Account not found.")
        if contract is None or not contract.known:
            return Outcome(code=PlaceCode.CONTRACT_NOT_FOUND, message="Contract not found.")
        if not contract.active:
            return Outcome(code=PlaceCode.CONTRACT_NOT_ACTIVE, message="Contract is not active.")
        if not account.can_trade:
            return Outcome(code=PlaceCode.ACCOUNT_VIOLATION, message="Account is not allowed to trade.")
        if not self.state.market_open:
            return Outcome(code=PlaceCode.OUTSIDE_TRADING_HOURS, message=CLOSED)
        objection = self._objection(ticket, contract)
        return self._rejected(now, ticket, objection) if objection else self._placed(now, ticket)

    def cancel(self, now: datetime, account_id: int, order_id: int) -> Outcome:
        order = self.state.orders.get(order_id)
        if account_id not in self.state.accounts:
            return Outcome(code=CancelCode.ACCOUNT_NOT_FOUND, message="Account not found.")
        if order is None or order.account_id != account_id:
            return Outcome(code=CancelCode.ORDER_NOT_FOUND, message="Order not found.")
        if order.status in FINAL:
            return Outcome(code=CancelCode.REJECTED, message=f"Order is already {order.status.name.lower()}.")
        return Outcome(order_id=order_id, changes=tuple(cancelled(self.state, now, order)))

    def modify(
        self,
        now: datetime,
        account_id: int,
        order_id: int,
        size: int | None = None,
        limit_price: Fraction | None = None,
        stop_price: Fraction | None = None,
        trail_price: Fraction | None = None,
    ) -> Outcome:
        order = self.state.orders.get(order_id)
        if account_id not in self.state.accounts:
            return Outcome(code=CancelCode.ACCOUNT_NOT_FOUND, message="Account not found.")
        if order is None or order.account_id != account_id:
            return Outcome(code=CancelCode.ORDER_NOT_FOUND, message="Order not found.")
        if order.status is not Status.OPEN:
            return Outcome(code=CancelCode.REJECTED, message=f"Order is {order.status.name.lower()}.")
        contract = self.state.contract(order.contract_id)
        prices = (limit_price, stop_price, trail_price)
        if (size is not None and size <= order.filled) or not all(_fits(contract, price) for price in prices):
            return Outcome(code=CancelCode.REJECTED, message="Invalid size or price.")
        order = replace(order, size=size or order.size, updated=now)
        if limit_price is not None:
            order = replace(order, limit_price=limit_price)
        if stop_price is not None:
            order = replace(order, stop_price=stop_price)
        if trail_price is not None:
            order = self._trailing(order, trail_price)
        changes = [stored(self.state, order), *self._tried(now, order, resting=False)]
        return Outcome(order_id=order_id, changes=tuple(changes))

    def close(self, now: datetime, account_id: int, contract_id: str) -> Outcome:
        """closeContract: a market order by the gateway over the whole position, which returns no order id."""
        held = self.state.position(account_id, contract_id)
        if account_id not in self.state.accounts:
            return Outcome(code=CloseCode.ACCOUNT_NOT_FOUND, message="Account not found.")
        if held is None:
            if self.state.catalogue.find(contract_id) is None:
                return Outcome(code=CloseCode.CONTRACT_NOT_FOUND, message="Contract not found.")
            return Outcome(code=CloseCode.POSITION_NOT_FOUND, message="Position not found.")
        refusal = self._cannot_execute(held)
        if refusal:
            return Outcome(code=CloseCode.ORDER_REJECTED, message=refusal)
        return self._closed(now, held, abs(held.size))

    def partial_close(self, now: datetime, account_id: int, contract_id: str, size: int) -> Outcome:
        held = self.state.position(account_id, contract_id)
        if account_id not in self.state.accounts:
            return Outcome(code=PartialCloseCode.ACCOUNT_NOT_FOUND, message="Account not found.")
        if held is None:
            if self.state.catalogue.find(contract_id) is None:
                return Outcome(code=PartialCloseCode.CONTRACT_NOT_FOUND, message="Contract not found.")
            return Outcome(code=PartialCloseCode.POSITION_NOT_FOUND, message="Position not found.")
        if not 0 < size <= abs(held.size):
            return Outcome(code=PartialCloseCode.INVALID_CLOSE_SIZE, message="Invalid close size.")
        refusal = self._cannot_execute(held)
        if refusal:
            return Outcome(code=PartialCloseCode.ORDER_REJECTED, message=refusal)
        return self._closed(now, held, size)

    def price(self, now: datetime, contract_id: str, price: Price) -> tuple[Change, ...]:
        """The market moved: remembers the price and fills what it reaches, oldest order first."""
        before, self.state.prices[contract_id] = self.state.price(contract_id), price
        if price.traded is not None and price.last != before.last:
            self.state.tape(contract_id).add(now, price.traded)
        return self.match(now, contract_id)

    def match(self, now: datetime, contract_id: str) -> tuple[Change, ...]:
        changes: list[Change] = []
        for listed in self.state.working(contract_id):
            order = self.state.orders[listed.id]
            if order.status is Status.OPEN:  # an order filled before it may have cancelled it
                changes += self._tried(now, order, resting=True)
        return tuple(changes)

    def execute(self, now: datetime, order_id: int, size: int, price: Fraction) -> Outcome:
        """Fills part or all of a working order at a price, whatever the market shows."""
        order = self.state.orders.get(order_id)
        if order is None or order.status is not Status.OPEN or not 0 < size <= order.remaining:
            return Outcome(code=1, message="No such working order, or it has fewer contracts left.")
        return Outcome(order_id=order_id, changes=tuple(fill(self.state, now, order, size, price)))

    def _objection(self, ticket: Ticket, contract: Contract) -> str | None:
        prices = (ticket.limit_price, ticket.stop_price, ticket.trail_price)
        market = self.state.price(contract.id)
        if ticket.size <= 0:
            return "Invalid order size."
        if ticket.type in NEEDS_LIMIT and ticket.limit_price is None:
            return "Limit price is missing."
        if ticket.type in NEEDS_STOP and ticket.stop_price is None:
            return "Stop price is missing."
        if ticket.type is OrderType.TRAILING_STOP and (ticket.trail_price is None or market.traded is None):
            return "Trail price or market price is missing."
        if not all(_fits(contract, price) for price in prices):
            return "Invalid price. Price is not aligned to tick size."
        if ticket.type in (OrderType.MARKET, OrderType.JOIN_BID, OrderType.JOIN_ASK):
            if market.touch(ticket.side) is None:
                return NO_PRICE
        if ticket.tag is not None and self.state.tag_used(ticket.account_id, ticket.tag):
            return "Custom tag is already in use."
        brackets = ticket.stop_loss or ticket.take_profit
        if brackets and not self.state.accounts[ticket.account_id].auto_oco:
            return "Brackets cannot be used with Position Brackets."
        return None

    def _rejected(self, now: datetime, ticket: Ticket, why: str) -> Outcome:
        order = self._order(now, ticket, Status.REJECTED)
        changes = (stored(self.state, order),)
        return Outcome(code=PlaceCode.ORDER_REJECTED, message=why, order_id=order.id, changes=changes)

    def _placed(self, now: datetime, ticket: Ticket) -> Outcome:
        status = Status.PENDING if ticket.type is OrderType.MARKET else Status.OPEN
        order = self._order(now, ticket, status)
        changes = [stored(self.state, order)]
        changes += [stored(self.state, leg) for leg in self._legs(now, order, ticket)]
        self._link_back(order)
        if order.type is OrderType.MARKET:
            order = replace(order, status=Status.OPEN)
        changes += self._tried(now, order, resting=False)
        return Outcome(order_id=order.id, changes=tuple(changes))

    def _order(self, now: datetime, ticket: Ticket, status: Status) -> Order:
        order = Order(
            id=self.state.next_order_id(),
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
        market = self.state.price(ticket.contract_id)
        match ticket.type:
            case OrderType.TRAILING_STOP if ticket.trail_price is not None:
                return self._trailing(order, ticket.trail_price)
            case OrderType.JOIN_BID:
                return replace(order, limit_price=market.bid or market.last)
            case OrderType.JOIN_ASK:
                return replace(order, limit_price=market.ask or market.last)
            case _:
                return order

    def _trailing(self, order: Order, level: Fraction) -> Order:
        """A trailing stop is asked for with a price level; what is kept and read back is the distance."""
        last = self.state.price(order.contract_id).traded
        return replace(order, stop_price=level, trail_distance=abs((level if last is None else last) - level))

    def _legs(self, now: datetime, entry: Order, ticket: Ticket) -> list[Order]:
        """Bracket legs: suspended and without a price until the entry fills, each cancelling the other."""
        wanted = [
            (leg, suffix, ticks)
            for leg, suffix, ticks in (
                (
                    ticket.stop_loss,
                    "-SL",
                    adverse(entry.side, ticket.stop_loss.ticks if ticket.stop_loss else 0),
                ),
                (
                    ticket.take_profit,
                    "-TP",
                    -adverse(entry.side, ticket.take_profit.ticks if ticket.take_profit else 0),
                ),
            )
            if leg is not None
        ]
        ids = [self.state.next_order_id() for _ in wanted]
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

    def _link_back(self, order: Order) -> None:
        other = self.state.orders.get(order.linked_id) if order.linked_id is not None else None
        if other is not None and other.linked_id is None:
            self.state.orders[other.id] = replace(other, linked_id=order.id)

    def _tried(self, now: datetime, order: Order, *, resting: bool) -> list[Change]:
        """Lets the present price work on an order: pull a trailing stop, set off a stop-limit, fill."""
        if not self.state.market_open:
            return []
        market = self.state.price(order.contract_id)
        moved = followed(order, market)
        changes = [] if moved == order else [stored(self.state, replace(moved, updated=now))]
        price = fill_price(moved, market, resting=resting)
        if price is not None:
            changes += fill(self.state, now, moved, moved.remaining, price)
        return changes

    def _cannot_execute(self, held: Position) -> str | None:
        if not self.state.market_open:
            return CLOSED
        side = Side.SELL if held.size > 0 else Side.BUY
        return NO_PRICE if self.state.price(held.contract_id).touch(side) is None else None

    def _closed(self, now: datetime, held: Position, size: int) -> Outcome:
        ticket = Ticket(
            account_id=held.account_id,
            contract_id=held.contract_id,
            side=Side.SELL if held.size > 0 else Side.BUY,
            type=OrderType.MARKET,
            size=size,
        )
        outcome = self._placed(now, ticket)
        changes = list(outcome.changes)
        if self.state.close_cancels_brackets and abs(held.size) == size:
            for order in self.state.working(held.contract_id):
                if order.parent_id is not None and order.account_id == held.account_id:
                    changes += cancelled(self.state, now, order)
        return Outcome(changes=tuple(changes))


def _fits(contract: Contract, price: Fraction | None) -> bool:
    return price is None or (price > 0 and contract.aligned(price))
