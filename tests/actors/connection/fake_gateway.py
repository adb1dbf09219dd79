"""A gateway in memory that keeps the same contract as the real one, for what no wire can be made to do."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from msgspec.structs import replace

from actors.clock import Clock
from actors.connection.budget import BudgetView, Lane
from actors.connection.port import (
    Answer,
    Ears,
    GatewayError,
    LoginDenied,
    NoAnswer,
    NotKnown,
    Session,
    Unauthorized,
)
from actors.connection.traffic import Traffic
from actors.connection.translate import Listed, Prices
from actors.messages import (
    AccountId,
    AccountReport,
    Call,
    CallKind,
    Contract,
    ContractId,
    Fill,
    FillId,
    Order,
    OrderId,
    OrderStatus,
    OrderType,
    Outcome,
    PositionReport,
)

MNQ = ContractId("CON.F.US.MNQ.U26")
RECORD = Contract(MNQ, "MNQ", "MNQU6", Decimal("0.25"), 5_000, 0.25)
KEY = "right"


class FakeHubs:
    """One pair: what is subscribed, and whether it still brings anything."""

    def __init__(self, ears: Ears, token: int, mono: float) -> None:
        self.ears = ears
        self.token = token
        self.accounts: set[AccountId] = set()
        self.contracts: set[ContractId] = set()
        self.heard = mono
        self.open = True

    async def guard(self, account: AccountId) -> None:
        self._must_be_open()
        self.accounts.add(account)

    async def unguard(self, account: AccountId) -> None:
        self._must_be_open()
        self.accounts.discard(account)

    async def watch(self, contract: ContractId) -> None:
        self._must_be_open()
        self.contracts.add(contract)

    async def unwatch(self, contract: ContractId) -> None:
        self._must_be_open()
        self.contracts.discard(contract)

    def silent_since(self) -> float:
        return self.heard

    async def close(self) -> None:
        self.open = False

    def lose(self, why: str = "the hub was closed") -> None:
        self.open = False
        self.ears.lost(why)

    def _must_be_open(self) -> None:
        if not self.open:
            raise NoAnswer("the hubs are closed")


class FakeGateway:
    """One account, one contract; orders fill at the price at once. `fail` decides what goes wrong."""

    def __init__(self, clock: Clock, key: str = KEY) -> None:
        self.clock = clock
        self.key = key
        self.account = AccountReport(AccountId(1001), "PRAC-V2-1001", True, 500_000_000, True)
        self.price = 19_000.0
        self.held: dict[ContractId, PositionReport] = {}
        self.traded: list[Fill] = []
        self.working: dict[OrderId, Order] = {}
        self.records: dict[ContractId, Contract] = {MNQ: RECORD}
        self.pairs: list[FakeHubs] = []
        self.asked: list[str] = []
        self.lifetime = 86_400.0
        self.fail: Callable[[str], GatewayError | None] = lambda what: None
        self.before: Callable[[str], None] = lambda what: None
        self.held_up: dict[tuple[str, Lane], asyncio.Event] = {}
        """Requests that wait for an event before they are carried out, by name and lane."""
        self._numbers = itertools.count(1)
        self._token = 0
        self._valid: set[int] = set()

    # ------------------------------------------------------------ the market, as a test plays it

    def trade(self, size: int) -> Fill:
        """Somebody buys or sells at the price; the events go out in the gateway's order."""
        number, now = next(self._numbers), self.clock.wall()
        before = self.held.get(MNQ)
        old = before.size if before is not None else 0
        order = Order(
            OrderId(number), self.account.id, MNQ, OrderType.MARKET, OrderStatus.FILLED, size, size, now, now
        )
        closing = old * size < 0
        fill = Fill(
            FillId(number), self.account.id, order.id, MNQ, now, size, self.price, 0 if closing else None, 0
        )
        position = PositionReport(self.account.id, MNQ, old + size, self.price, now)
        self.held[MNQ] = position
        if not position.size:
            del self.held[MNQ]
        self.traded.append(fill)
        for pair in self._listening():
            pair.ears.order_changed(order, self.clock.mono())
            pair.ears.filled(fill, self.clock.mono())
            pair.ears.position_changed(position, self.clock.mono())
        return fill

    def quote(self, price: float) -> None:
        self.price = price
        for pair in self._open():
            if MNQ in pair.contracts:
                at = self.clock.wall()
                pair.ears.priced(Prices(MNQ, price, None, None, at), self.clock.mono())

    def revoke(self) -> None:
        self._valid.clear()

    def _open(self) -> list[FakeHubs]:
        return [pair for pair in self.pairs if pair.open]

    def _listening(self) -> list[FakeHubs]:
        return [pair for pair in self._open() if self.account.id in pair.accounts]

    # ------------------------------------------------------------ port.Gateway

    async def login(self) -> Session:
        self._meet("login")
        if self.key != KEY:
            raise LoginDenied("cannot log in: user name and key do not belong together", 3)
        return self._issue()

    async def renew(self) -> Session:
        self._meet("renew")
        return self._issue() if self._token in self._valid else await self.login()

    def _issue(self) -> Session:
        self._token += 1
        self._valid.add(self._token)
        return Session(self._token, self.lifetime)

    async def accounts(self, lane: Lane) -> tuple[AccountReport, ...]:
        self._authorised("accounts")
        return (self.account,)

    async def open_hubs(self, ears: Ears) -> FakeHubs:
        self._authorised("hubs")
        pair = FakeHubs(ears, self._token, self.clock.mono())
        self.pairs.append(pair)
        return pair

    async def positions(self, account: AccountId, lane: Lane) -> tuple[PositionReport, ...]:
        await self._hold_up("positions", lane)
        self._authorised("positions")
        return tuple(self.held.values())

    async def _hold_up(self, what: str, lane: Lane) -> None:
        if (what, lane) in self.held_up:
            self.asked.append(f"waits for {what}")
            await self.held_up[what, lane].wait()

    async def orders(self, account: AccountId, lane: Lane) -> tuple[Order, ...]:
        await self._hold_up("orders", lane)
        self._authorised("orders")
        return tuple(self.working.values())

    async def open_orders(self, account: AccountId, lane: Lane) -> tuple[Order, ...]:
        self._authorised("open orders")
        return tuple(each for each in self.working.values() if each.status is OrderStatus.OPEN)

    async def fills(self, account: AccountId, since: datetime, lane: Lane) -> tuple[Fill, ...]:
        self._authorised("fills")
        return tuple(each for each in self.traded if each.at >= since)

    async def contract(self, contract: ContractId) -> Contract:
        self._authorised("contract")
        if contract not in self.records:
            raise NotKnown(f"the gateway does not know {contract}")
        return self.records[contract]

    async def search_contracts(self, text: str, live: bool) -> tuple[Listed, ...]:
        self._authorised("search")
        return tuple(Listed(each, True) for each in self.records.values() if text in each.name)

    async def newest_price(self, contract: ContractId, live: bool) -> float | None:
        self._authorised("bars")
        return self.price

    async def act(self, call: Call) -> Answer:
        sent_at, sent = self.clock.wall(), self.clock.mono()
        try:
            self._authorised(call.kind.value)
        except NoAnswer as error:
            return Answer(Outcome.UNKNOWN, None, str(error), sent_at, sent, self.clock.mono())
        code, order = self._carry_out(call)
        gone = "already gone" if code else "done"
        return Answer(Outcome.CONFIRMED, code, gone, sent_at, sent, self.clock.mono(), order)

    def _carry_out(self, call: Call) -> tuple[int, OrderId | None]:
        held = self.held.get(call.contract)
        match call.kind:
            case CallKind.CLOSE | CallKind.PARTIAL_CLOSE:
                if held is None:
                    return 2, None
                whole = call.kind is CallKind.CLOSE
                self.trade(-held.size if whole else -call.size if held.size > 0 else call.size)
                return 0, None
            case CallKind.CANCEL:
                return (0 if self.working.pop(OrderId(call.order or 0), None) else 2), None
            case CallKind.MODIFY:
                order = self.working[OrderId(call.order or 0)]
                self.working[order.id] = replace(order, stop_price=call.stop_price)
                return 0, None
            case CallKind.PLACE:
                return 0, self._place(call)

    def _place(self, call: Call) -> OrderId:
        now, number = self.clock.wall(), OrderId(next(self._numbers))
        kind = call.order_type or OrderType.MARKET
        self.working[number] = Order(
            number, call.account, call.contract, kind, OrderStatus.OPEN, call.size, 0, now, now,
            call.limit_price, call.stop_price, None, call.tag,
        )  # fmt: skip
        return number

    async def ready(self, lane: Lane, requests: int) -> None:
        del requests
        await self._hold_up("slots", lane)

    def traffic(self) -> Traffic:
        return Traffic()

    def budget(self) -> BudgetView:
        return BudgetView(len(self.asked), 200, 60.0, 40, 0, 0, 0.0)

    async def close(self) -> None:
        for pair in self.pairs:
            await pair.close()

    def _authorised(self, what: str) -> None:
        self._meet(what)
        if self._token not in self._valid:
            raise Unauthorized("HTTP 401")

    def _meet(self, what: str) -> None:
        self.asked.append(what)
        self.before(what)
        error = self.fail(what)
        if error is not None:
            raise error


def yesterday(now: datetime) -> datetime:
    """A trading day's start for tests that do not care which."""
    return now.astimezone(UTC) - timedelta(days=1)
