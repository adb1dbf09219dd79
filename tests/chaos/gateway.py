"""`port.Gateway` on the broker of the simulation: what `projectx` does, with the agenda in place of sockets.

Bodies are made by `requests`, answers and events read by `translate`, codes by `codes`, as in the product;
only HTTP, SignalR and the SDK are missing. A request that has left travels on whatever becomes of its sender.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import ContextVar
from datetime import datetime
from functools import partial
from typing import Any

from msgspec import Struct

from actors.clock import Clock
from actors.connection import codes, requests, translate
from actors.connection.budget import BudgetView, Lane, Limits
from actors.connection.exchange import Exchange, note_response
from actors.connection.lanes import Gate
from actors.connection.port import (
    Answer,
    Ears,
    LoginDenied,
    NoAnswer,
    NotKnown,
    RateLimited,
    Refused,
    Session,
    Unauthorized,
)
from actors.connection.traffic import Traffic
from actors.connection.translate import Listed, Malformed, Unmeasurable
from actors.messages import (
    AccountId,
    AccountReport,
    Call,
    CallKind,
    Contract,
    ContractId,
    Fill,
    Order,
    OrderId,
    Outcome,
    PositionReport,
)
from tests.chaos.broker import Broker

LIFE_S = 86_400.0
READS: dict[str, Callable[[object], object]] = {
    "GatewayUserAccount": translate.account,
    "GatewayUserPosition": translate.position,
    "GatewayUserOrder": translate.order,
    "GatewayUserTrade": translate.fill,
}


class SimHubs:
    """One pair of hubs: what is subscribed, and how what comes is read."""

    def __init__(self, gateway: SimGateway, ears: Ears) -> None:
        self._gateway, self._ears = gateway, ears
        self._loop = asyncio.get_running_loop()
        self._topics: set[tuple[str, int | str]] = set()
        self._tell: dict[str, Callable[[Any, float], None]] = {
            "GatewayUserAccount": ears.account_changed,
            "GatewayUserPosition": ears.position_changed,
            "GatewayUserOrder": ears.order_changed,
            "GatewayUserTrade": ears.filled,
        }
        self._open = True
        self._closing = False
        self.frozen_at: float | None = None

    # What the broker calls.

    def wants(self, target: str, key: int | str) -> bool:
        return target == "GatewayUserAccount" or (target, key) in self._topics

    def hear(self, target: str, data: object) -> None:
        if self.frozen_at is None and not self._loop.is_closed():
            self._loop.call_soon(self._heard, target, data)

    def end(self, why: str) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon(self._ended, why)

    def _heard(self, target: str, data: object) -> None:
        if not self._open:
            return
        mono = self._gateway.clock.mono()
        try:
            if target == "GatewayQuote":
                contract, row = data  # type: ignore[misc]  # as the broker sends it
                self._ears.priced(translate.quote(contract, row), mono)
            else:
                self._tell[target](READS[target](data), mono)
        except Malformed as error:
            (self._ears.unpriced if target == "GatewayQuote" else self._ears.malformed)(error)

    def _ended(self, why: str) -> None:
        if self._open:
            self._open = False
            if not self._closing:
                self._ears.lost(why)

    # What the keeper calls.

    async def guard(self, account: AccountId) -> None:
        self._must_be_open()
        self._topics |= {(target, account) for target in self._tell}

    async def unguard(self, account: AccountId) -> None:
        self._must_be_open()
        self._topics -= {(target, account) for target in self._tell}

    async def watch(self, contract: ContractId) -> None:
        self._must_be_open()
        self._topics.add(("GatewayQuote", contract))
        self._gateway.broker.shown(contract)

    async def unwatch(self, contract: ContractId) -> None:
        self._must_be_open()
        self._topics.discard(("GatewayQuote", contract))

    def silent_since(self) -> float:
        return self._gateway.clock.mono() if self.frozen_at is None else self.frozen_at

    async def close(self) -> None:
        self._closing, self._open = True, False
        if self in self._gateway.broker.connections:
            self._gateway.broker.connections.remove(self)

    def _must_be_open(self) -> None:
        if not self._open:
            raise NoAnswer("the hubs are closed")


class NotAnswered(Exception):
    """What the transport raises where there is no answer to be had."""


class Status(Struct, frozen=True):
    """An answer that is nothing but its HTTP status."""

    status_code: int
    headers: dict[str, str] = {}


_acting: ContextVar[str] = ContextVar("riskd_sim_call", default="")


class SimGateway:
    """The gateway of one process of the guard."""

    def __init__(self, broker: Broker, clock: Clock, timeout_s: float, limits: Limits) -> None:
        self.broker, self.clock = broker, clock
        self._gate = Gate(limits, clock)
        self._exchange = Exchange(self._execute, self._gate, clock, timeout_s, (NotAnswered,))
        self._ask = self._exchange.ask
        self._token = 0
        self._sessions = 0

    # ------------------------------------------------------------ session

    async def login(self) -> Session:
        body = {"userName": self.broker.login.user, "apiKey": self.broker.key}
        try:
            await self._ask("/Auth/loginKey", body, Lane.LOGIN, codes.LOGIN)
        except Refused as error:
            if codes.LOGIN.get(error.code or 0, codes.UNDOCUMENTED).meaning is codes.Meaning.PERMANENT:
                raise LoginDenied(f"cannot log in: {error}", error.code) from error
            raise
        return self._accept()

    async def renew(self) -> Session:
        try:
            await self._ask("/Auth/validate", {}, Lane.LOGIN, codes.VALIDATE)
        except (Unauthorized, Refused):
            return await self.login()
        return self._accept()

    def _accept(self) -> Session:
        self._token = self.broker.issue()
        self._sessions += 1
        return Session(self._sessions, LIFE_S)

    async def accounts(self, lane: Lane) -> tuple[AccountReport, ...]:
        answer = await self._ask("/Account/search", {"onlyActiveAccounts": True}, lane, codes.SEARCH)
        return tuple(translate.account(row) for row in translate.rows_of(answer, "accounts"))

    async def open_hubs(self, ears: Ears) -> SimHubs:
        await self._exchange.send("/hubs", None, Lane.LOGIN, 0.0)
        hubs = SimHubs(self, ears)
        self.broker.connections.append(hubs)
        return hubs

    # ------------------------------------------------------------ reads

    async def positions(self, account: AccountId, lane: Lane) -> tuple[PositionReport, ...]:
        answer = await self._ask("/Position/searchOpen", {"accountId": account}, lane, codes.SEARCH)
        return tuple(translate.position(row) for row in translate.rows_of(answer, "positions"))

    async def orders(self, account: AccountId, lane: Lane) -> tuple[Order, ...]:
        answer = await self._ask("/Order/v2/query", requests.open_orders(account), lane, codes.SEARCH)
        return tuple(translate.order(row) for row in translate.rows_of(answer, "orders"))

    async def open_orders(self, account: AccountId, lane: Lane) -> tuple[Order, ...]:
        answer = await self._ask("/Order/searchOpen", {"accountId": account}, lane, codes.SEARCH)
        return tuple(translate.order(row) for row in translate.rows_of(answer, "orders"))

    async def fills(self, account: AccountId, since: datetime, lane: Lane) -> tuple[Fill, ...]:
        body = {"accountId": account, "startTimestamp": requests.stamp(since)}
        answer = await self._ask("/Trade/search", body, lane, codes.SEARCH)
        return tuple(translate.fill(row) for row in translate.rows_of(answer, "trades"))

    async def contract(self, contract: ContractId) -> Contract:
        try:
            body = {"contractId": contract}
            answer = await self._ask("/Contract/searchById", body, Lane.RECONCILE, codes.CONTRACT)
            return translate.contract(answer.get("contract"))
        except Refused as error:
            if error.code == 1:
                raise NotKnown(f"the gateway does not know {contract}") from error
            raise
        except Unmeasurable as error:
            raise NotKnown(str(error)) from error

    async def search_contracts(self, text: str, live: bool) -> tuple[Listed, ...]:
        body = {"searchText": text, "live": live}
        answer = await self._ask("/Contract/search", body, Lane.REST, codes.SEARCH)
        return requests.listed(translate.rows_of(answer, "contracts"))

    async def newest_price(self, contract: ContractId, live: bool) -> float | None:
        body, lane = requests.newest_bar(contract, live, self.clock.wall()), Lane.RECONCILE
        answer = await self._ask("/History/retrieveBars", body, lane, codes.BARS, bars=True)
        return translate.newest_close(answer)

    # ------------------------------------------------------------ acting

    async def act(self, call: Call) -> Answer:
        endpoint, body = requests.of_call(call)
        lane = Lane.PROTECTIVE if call.protective else Lane.RECONCILE
        sent_at, sent = self.clock.wall(), self.clock.mono()
        order: OrderId | None = None
        code: int | None = None
        try:
            waited = await self._exchange.slot(lane)
            sent_at, sent = self.clock.wall(), self.clock.mono()
            _acting.set(call.id)
            answer = await self._exchange.send(endpoint, body, lane, waited)
        except (NoAnswer, RateLimited, Malformed, Refused) as error:
            outcome, text = Outcome.UNKNOWN, str(error)
        else:
            outcome, code, text = requests.outcome_of(call.kind, answer)
            order = requests.placed(answer) if call.kind is CallKind.PLACE else None
        return Answer(outcome, code, text, sent_at, sent, self.clock.mono(), order)

    # ------------------------------------------------------------ one request

    async def _execute(self, endpoint: str, body: requests.Body | None) -> object:
        """One request, once: there, executed, and back; what befalls it is the broker's to say."""
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[object] = loop.create_future()
        call = _acting.get()
        self.broker.send(endpoint[1:], body or {}, call, self._token, partial(_hand_in, loop, answered))
        answer = await answered
        if isinstance(answer, int):
            await note_response(Status(answer))
            raise NotAnswered(f"HTTP {answer}")
        return answer

    async def ready(self, lane: Lane, requests: int) -> None:
        await self._gate.ready(lane, requests)

    def budget(self) -> BudgetView:
        return self._gate.view()

    def traffic(self) -> Traffic:
        return self._exchange.traffic()

    async def close(self) -> None:
        self._gate.close()
        for hubs in list(self.broker.connections):
            if isinstance(hubs, SimHubs):
                await hubs.close()


def _hand_in(loop: asyncio.AbstractEventLoop, answered: asyncio.Future[object], answer: object) -> None:
    """The answer arrives at a process; one that is gone, or waits no longer, does not hear it."""
    if not loop.is_closed():
        loop.call_soon(_set, answered, answer)


def _set(answered: asyncio.Future[object], answer: object) -> None:
    if not answered.done():
        answered.set_result(answer)
