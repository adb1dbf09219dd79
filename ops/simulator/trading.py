"""Control operations that trade: orders, closes, prices, positions and trades as a person would make them."""

import asyncio
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Literal

import msgspec

from ops.simulator import screen, shapes
from ops.simulator.records import OrderType, Outcome, Side
from ops.simulator.shapes import Json
from ops.simulator.stage import Operation, Refused, Stage, exact
from ops.simulator.tickets import Bracket, Ticket

SIDES = {"buy": Side.BUY, "sell": Side.SELL}
TYPES = {
    "market": OrderType.MARKET,
    "limit": OrderType.LIMIT,
    "stop": OrderType.STOP,
    "stop_limit": OrderType.STOP_LIMIT,
    "trailing": OrderType.TRAILING_STOP,
}
type SideName = Literal["buy", "sell"]
type TypeName = Literal["market", "limit", "stop", "stop_limit", "trailing"]


class BracketTicks(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Protective legs in ticks from the entry (the sign does not matter)."""

    stop_loss_ticks: int | None = None
    take_profit_ticks: int | None = None


class PlaceOrder(Operation, tag="order"):
    """Places an order. `price` is the limit of a limit order, the stop of a stop, stop-limit or trailing one;
    for a market order the market first moves to it. `silent`: no event tells of it."""

    account: int | str
    contract: str
    side: SideName
    size: int
    type: TypeName = "market"
    price: Decimal | None = None
    limit_price: Decimal | None = None
    tag: str | None = None
    linked: int | None = None
    bracket: BracketTicks | None = None
    silent: bool = False

    async def run(self, stage: Stage) -> Json:
        contract, kind, price = stage.contract(self.contract), TYPES[self.type], exact(self.price)
        if kind is OrderType.MARKET and price is not None:
            stage.gateway.move(contract.id, dict.fromkeys(("last", "bid", "ask"), price), silent=self.silent)
        legs = self.bracket or BracketTicks()
        stop, profit = legs.stop_loss_ticks, legs.take_profit_ticks
        ticket = Ticket(
            account_id=stage.account(self.account).id,
            contract_id=contract.id,
            side=SIDES[self.side],
            type=kind,
            size=self.size,
            limit_price=price if kind is OrderType.LIMIT else exact(self.limit_price),
            stop_price=price if kind in (OrderType.STOP, OrderType.STOP_LIMIT) else None,
            trail_price=price if kind is OrderType.TRAILING_STOP else None,
            tag=self.tag,
            linked_id=self.linked,
            stop_loss=None if stop is None else Bracket(stop, OrderType.STOP),
            take_profit=None if profit is None else Bracket(profit, OrderType.LIMIT),
        )
        now = stage.gateway.clock.wall()
        outcome = stage.settle(stage.gateway.exchange.place(now, ticket), silent=self.silent)
        return _placed(stage, outcome)


class EmitFill(Operation, tag="emit_fill", kw_only=True):
    """Fills a market order and answers with the monotonic stamps taken just before its trade and position
    events were written to a subscriber: the start of a latency measurement. `price` as in `order`; `quotes`
    go out right before it, at once, to whoever listens to the account; refused when nobody was written to
    within `timeout` seconds."""

    account: int | str
    contract: str
    side: SideName
    size: int = 1
    price: Decimal | None = None
    quotes: int = 0
    timeout: float = 1.0

    async def run(self, stage: Stage) -> Json:
        contract = stage.contract(self.contract)
        if self.price is not None:
            sides = dict.fromkeys(("last", "bid", "ask"), Fraction(self.price))
            stage.gateway.move(contract.id, sides)
        ticket = Ticket(
            account_id=stage.account(self.account).id,
            contract_id=contract.id,
            side=SIDES[self.side],
            type=OrderType.MARKET,
            size=self.size,
        )
        outcome = stage.gateway.exchange.place(stage.gateway.clock.wall(), ticket)
        stamps: dict[str, float] = {}
        done = asyncio.Event()

        def written(target: str, stamp: float) -> None:
            stamps.setdefault(target, stamp)
            if target == "GatewayUserPosition":
                done.set()

        for listener in stage.gateway.hubs.beside(ticket.account_id) if self.quotes else ():
            for text in stage.gateway.burst(listener, self.quotes, contract.id):
                listener.send(text)
        stage.settle(outcome, written=written)
        try:
            await asyncio.wait_for(done.wait(), self.timeout)
        except TimeoutError:
            raise Refused("filled, but nobody is subscribed to the position") from None
        return {"order_id": outcome.order_id, "written": stamps}


class CancelOrder(Operation, tag="cancel"):
    """Cancels a working order."""

    order: int
    silent: bool = False

    async def run(self, stage: Stage) -> Json:
        order, now = stage.order(self.order), stage.gateway.clock.wall()
        outcome = stage.gateway.exchange.cancel(now, order.account_id, order.id)
        return _placed(stage, stage.settle(outcome, silent=self.silent))


class ModifyOrder(Operation, tag="modify"):
    """Changes size or price of a working order; `price` means what it means for `order`."""

    order: int
    size: int | None = None
    price: Decimal | None = None
    limit_price: Decimal | None = None
    silent: bool = False

    async def run(self, stage: Stage) -> Json:
        order, now, price = stage.order(self.order), stage.gateway.clock.wall(), exact(self.price)
        outcome = stage.gateway.exchange.modify(
            now,
            order.account_id,
            order.id,
            size=self.size,
            limit_price=price if order.type is OrderType.LIMIT else exact(self.limit_price),
            stop_price=price if order.type in (OrderType.STOP, OrderType.STOP_LIMIT) else None,
            trail_price=price if order.type is OrderType.TRAILING_STOP else None,
        )
        return _placed(stage, stage.settle(outcome, silent=self.silent))


class FillOrder(Operation, tag="fill"):
    """Fills a working order, or part of it, at a price, whatever the market shows."""

    order: int
    size: int
    price: Decimal
    silent: bool = False

    async def run(self, stage: Stage) -> Json:
        now = stage.gateway.clock.wall()
        outcome = stage.gateway.exchange.execute(now, self.order, self.size, Fraction(self.price))
        return _placed(stage, stage.settle(outcome, silent=self.silent))


class ClosePosition(Operation, tag="close"):
    """Closes a position at the market, or `size` contracts of it."""

    account: int | str
    contract: str
    size: int | None = None
    silent: bool = False

    async def run(self, stage: Stage) -> Json:
        account, contract = stage.account(self.account), stage.contract(self.contract)
        now, exchange = stage.gateway.clock.wall(), stage.gateway.exchange
        if self.size is None:
            outcome = exchange.close(now, account.id, contract.id)
        else:
            outcome = exchange.partial_close(now, account.id, contract.id, self.size)
        stage.settle(outcome, silent=self.silent)
        return {}


class MovePrice(Operation, tag="price"):
    """Moves a contract's price. `price` sets last, bid and ask at once; a side left out stays as it is.
    `silent`: no quote tells of it (orders still fill). `forget`: as if the contract never had a price."""

    contract: str
    price: Decimal | None = None
    last: Decimal | None = None
    bid: Decimal | None = None
    ask: Decimal | None = None
    silent: bool = False
    forget: bool = False

    async def run(self, stage: Stage) -> Json:
        contract = stage.contract(self.contract)
        if self.forget:
            stage.gateway.forget_price(contract.id)
            return {}
        given = {"last": self.last, "bid": self.bid, "ask": self.ask}
        sides = {name: self.price if value is None else value for name, value in given.items()}
        moved = {name: Fraction(value) for name, value in sides.items() if value is not None}
        if not moved:
            raise Refused("give price, or some of last, bid and ask")
        stage.gateway.move(contract.id, moved, silent=self.silent)
        return {"contract": contract.id}


class Halt(Operation, tag="halt"):
    """Stops (or resumes) the trading that a price which holds still stands for: no newer bars."""

    contract: str
    on: bool = True

    async def run(self, stage: Stage) -> Json:
        stage.gateway.state.tape(stage.contract(self.contract).id).halted = self.on
        return {}


class AdoptPosition(Operation, tag="position", kw_only=True):
    """Puts a position into the account as if it had been open before: no trade. Size 0 removes it."""

    account: int | str
    contract: str
    side: SideName = "buy"
    size: int
    price: Decimal = Decimal(0)
    at: datetime | None = None
    silent: bool = False

    async def run(self, stage: Stage) -> Json:
        account, contract = stage.account(self.account), stage.contract(self.contract)
        signed = SIDES[self.side].sign * self.size
        if signed and self.price <= 0:
            raise Refused("give the entry price of the position")
        now, state = stage.gateway.clock.wall(), stage.gateway.state
        changes = screen.adopt(state, now, account, contract, signed, Fraction(self.price), self.at)
        if not self.silent:
            stage.gateway.tell(changes)
        return {}


class BookTrade(Operation, tag="trade", kw_only=True):
    """Books a round trip with a given P&L: an opening and a closing half-turn, `fees` and `commissions` each.
    `side` is the side it was opened on, `at` when (default now)."""

    account: int | str
    contract: str
    pnl: Decimal
    side: SideName = "buy"
    size: int = 1
    price: Decimal | None = None
    fees: Decimal | None = None
    commissions: Decimal | None = None
    at: datetime | None = None
    silent: bool = False

    async def run(self, stage: Stage) -> Json:
        account, contract = stage.account(self.account), stage.contract(self.contract)
        entry = exact(self.price) or stage.gateway.state.price(contract.id).traded or contract.start
        if entry is None:
            raise Refused(f"no price for {contract.id}: give one")
        changes = screen.book_round_trip(
            stage.gateway.state,
            self.at or stage.gateway.clock.wall(),
            account,
            contract,
            side=SIDES[self.side],
            size=self.size,
            price=entry,
            pnl=Fraction(self.pnl),
            fees=exact(self.fees),
            commissions=exact(self.commissions),
        )
        if not self.silent:
            stage.gateway.tell(changes)
        return {"trades": [change.record.id for change in changes if hasattr(change.record, "pnl")]}


class VoidTrade(Operation, tag="void"):
    """Voids a trade: its money is given back, the position stays as it is."""

    trade: int

    async def run(self, stage: Stage) -> Json:
        stage.gateway.tell(screen.void(stage.gateway.state, self.trade))
        return {}


TRADING = (
    PlaceOrder
    | EmitFill
    | CancelOrder
    | ModifyOrder
    | FillOrder
    | ClosePosition
    | MovePrice
    | Halt
    | AdoptPosition
    | BookTrade
    | VoidTrade
)


def _placed(stage: Stage, outcome: Outcome) -> Json:
    order = stage.order(outcome.order_id or 0)
    row = shapes.order(order, stage.gateway.state.contract(order.contract_id))
    return {"order_id": order.id, "status": order.status.name.lower(), "order": row}
