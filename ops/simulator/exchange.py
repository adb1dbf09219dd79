"""The broker's answers to requests: place, cancel, modify, close. Pure: `now` goes in, events come out.

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

from msgspec.structs import replace

from ops.simulator.fills import cancelled, fill, stored
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
from ops.simulator.tickets import NO_PRICE, Ticket, fits, legs_of, objection, order_of, trailing

CLOSED = "The market is closed."


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
        ticket = ticket.snapped(contract)
        why = objection(self.state, ticket, contract)
        return self._rejected(now, ticket, why) if why else self._placed(now, ticket)

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
        prices = [contract.snapped(price) for price in (limit_price, stop_price, trail_price)]
        limit_price, stop_price, trail_price = prices
        if (size is not None and size <= order.filled) or not all(fits(contract, price) for price in prices):
            return Outcome(code=CancelCode.REJECTED, message="Invalid size or price.")
        order = replace(order, size=size or order.size, updated=now)
        if limit_price is not None:
            order = replace(order, limit_price=limit_price)
        if stop_price is not None:
            order = replace(order, stop_price=stop_price)
        if trail_price is not None:
            order = trailing(self.state, order, trail_price)
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

    def fire_stop(self, now: datetime, account_id: int, contract_id: str) -> tuple[Change, ...]:
        """Fills the oldest working stop of an account in a contract at its stop price: a race it wins."""
        for order in self.state.working(contract_id):
            if order.account_id == account_id and order.stop_price is not None:
                return tuple(fill(self.state, now, order, order.remaining, order.stop_price))
        return ()

    def _rejected(self, now: datetime, ticket: Ticket, why: str) -> Outcome:
        order = order_of(self.state, now, ticket, Status.REJECTED)
        changes = (stored(self.state, order),)
        return Outcome(code=PlaceCode.ORDER_REJECTED, message=why, order_id=order.id, changes=changes)

    def _placed(self, now: datetime, ticket: Ticket) -> Outcome:
        status = Status.PENDING if ticket.type is OrderType.MARKET else Status.OPEN
        order = order_of(self.state, now, ticket, status)
        changes = [stored(self.state, order)]
        changes += [stored(self.state, leg) for leg in legs_of(self.state, now, order, ticket)]
        self._link_back(order)
        if order.type is OrderType.MARKET:
            order = replace(order, status=Status.OPEN)
        changes += self._tried(now, order, resting=False)
        return Outcome(order_id=order.id, changes=tuple(changes))

    def _link_back(self, order: Order) -> None:
        other = self.state.orders.get(order.linked_id) if order.linked_id is not None else None
        if other is not None and other.linked_id is None:
            self.state.keep(replace(other, linked_id=order.id))

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
