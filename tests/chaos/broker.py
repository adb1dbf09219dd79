"""The other side of the wire in virtual time: the simulator's own exchange, without sockets.

Orders, fills, positions, P&L, error codes and payloads are those of `ops.simulator`; here they are reached
by a call instead of HTTP, so that requests, answers and events travel on the agenda and may suffer there.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from functools import partial
from typing import Any, Literal, Protocol

import msgspec
from msgspec.structs import replace

from actors.clock import ManualClock
from ops.simulator import shapes
from ops.simulator.exchange import Exchange
from ops.simulator.prices import Price
from ops.simulator.records import Account, Action, Change, OrderType, Position, Side
from ops.simulator.requests import Close, PartialClose
from ops.simulator.rest import ENDPOINTS, Desk
from ops.simulator.sessions import Sessions
from ops.simulator.settings import DEFAULT_ACCOUNTS, Settings
from ops.simulator.shapes import Json
from ops.simulator.state import State
from ops.simulator.tickets import Ticket
from tests.chaos.agenda import Agenda

LATENCY_S = 0.02
"""One way."""
ACCOUNT = 1001

type Fate = Literal[
    "lost", "unanswered", "late", "slow", "http_500", "executed_500", "http_401", "http_429", "refuse"
]
"""lost: never arrives. unanswered: executed, the answer is lost. late: executed late. slow: answered late."""


class Ears(Protocol):
    """One client connection to the hubs, as the broker sees it."""

    def wants(self, target: str, key: int | str) -> bool: ...

    def hear(self, target: str, data: object) -> None: ...

    def end(self, why: str) -> None: ...


class Hitch(msgspec.Struct, frozen=True):
    """What befalls one request; `race`: a working stop of the position fills beside a close."""

    fate: Fate | None = None
    code: int = 0
    seconds: float = 0.0
    race: Literal["before", "after"] | None = None


class HitchEvent(msgspec.Struct, frozen=True):
    """What befalls one event on its way to a client."""

    fate: Literal["lost", "twice", "late"]
    seconds: float = 0.0


FINE = Hitch()
DOWN = Hitch("lost")


@dataclass
class Acted:
    """One acting request that reached the exchange, for the checks afterwards."""

    call: str
    path: str
    body: Any
    before: int
    """Signed size of the contract's position when it was executed."""
    after: int
    code: int
    mono: float


class Login(msgspec.Struct, frozen=True):
    """Who may log in."""

    user: str
    key: str


@dataclass
class Sent:
    """What a request meets: set by whoever plays the faults, asked once per request and per event."""

    request: Callable[[str], Hitch] = lambda path: FINE
    event: Callable[[str], HitchEvent | None] = lambda target: None


@dataclass
class Broker:
    """One login's broker. Lives as long as the world; the guard's processes come and go."""

    clock: ManualClock
    agenda: Agenda
    faults: Sent = field(default_factory=Sent)

    def __post_init__(self) -> None:
        self.state = State(self.clock.wall(), Fraction(0), Fraction(0))
        for setup in DEFAULT_ACCOUNTS[:1]:
            account = Account(**msgspec.structs.asdict(setup) | {"balance": Fraction(setup.balance)})
            self.state.accounts[account.id] = account
        self.exchange = Exchange(self.state)
        plain = Settings()
        self.login = Login(plain.user, plain.api_key)
        self.key = plain.api_key
        """What the guard believes the key to be."""
        sessions = Sessions(plain.user, plain.api_key, plain.token_life)
        self._desk = Desk(exchange=self.exchange, sessions=sessions)
        self.connections: list[Ears] = []
        self.acted: list[Acted] = []
        self.tokens: set[int] = set()
        self.down = False
        self.scripted: Callable[[str], Hitch] = lambda path: FINE
        self.held: list[tuple[datetime, str, int]] = []
        """Every size a position took, with the instant."""
        self._numbers = itertools.count(1)
        self._shown: dict[str, Price] = {}

    # ------------------------------------------------------------ requests

    def send(self, path: str, body: object, call: str, token: int, answer: Callable[[Any], None], /) -> None:
        """A request leaves its sender now, who may not live to see it answered."""
        hitch = DOWN if self.down else self.scripted(path)
        hitch = self.faults.request(path) if hitch is FINE else hitch
        there = LATENCY_S + (hitch.seconds if hitch.fate == "late" else 0.0)
        back = LATENCY_S + (hitch.seconds if hitch.fate == "slow" else 0.0)
        if hitch.fate == "http_500":
            self.agenda.after(2 * LATENCY_S, lambda: answer(500))
        elif hitch.fate != "lost":
            self.agenda.after(there, lambda: self._arrived(path, body, call, token, answer, hitch, back))

    def _arrived(
        self,
        path: str,
        body: object,
        call: str,
        token: int,
        answer: Callable[[Any], None],
        hitch: Hitch,
        back: float,
    ) -> None:
        said = self._answer(path, body, call, token, hitch)
        if hitch.fate != "unanswered":
            self.agenda.after(back, lambda: answer(said))

    def _answer(self, path: str, body: object, call: str, token: int, hitch: Hitch) -> object:
        """The answer's object, or an HTTP status alone."""
        if hitch.fate == "http_401" or (token not in self.tokens and path != "Auth/loginKey"):
            return 401
        if hitch.fate == "http_429":
            return 429
        if hitch.fate == "refuse":
            return {"success": False, "errorCode": hitch.code, "errorMessage": None}
        if path == "hubs":
            return {"success": True}
        done = self.execute(path, body, call, hitch.race)
        return 500 if hitch.fate == "executed_500" else done

    def issue(self) -> int:
        number = next(self._numbers)
        self.tokens.add(number)
        return number

    def execute(self, path: str, body: object, call: str = "", race: str | None = None) -> Json:
        """Carry a request out now; its events are on their way before it returns."""
        endpoint = ENDPOINTS[path]
        asked = msgspec.json.decode(msgspec.json.encode(body), type=endpoint.request)
        contract = getattr(asked, "contract_id", "")
        before = self.size(contract) if endpoint.acting else 0
        if race == "before":
            self._fire_stop(asked)
        reply = endpoint.answer(self._desk, self.clock.wall(), asked)
        self.publish(reply.outcome.changes)
        if endpoint.acting:
            code = int(reply.outcome.code)
            self.acted.append(Acted(call, path, body, before, self.size(contract), code, self.clock.mono()))
        if race == "after":
            self._fire_stop(asked)
        answer: Json = msgspec.json.decode(msgspec.json.encode(reply.body()))
        return answer

    def _fire_stop(self, asked: object) -> None:
        if isinstance(asked, Close | PartialClose):
            self.publish(self.exchange.fire_stop(self.clock.wall(), asked.account_id, asked.contract_id))

    def size(self, contract: str, account: int = ACCOUNT) -> int:
        held = self.state.position(account, contract)
        return 0 if held is None else held.size

    # ------------------------------------------------------------ events

    def publish(self, changes: Iterable[Change]) -> None:
        for change in changes:
            if isinstance(change.record, Position):
                self.held.append((self.clock.wall(), change.record.contract_id, change.record.size))
            target, account, data = shapes.event(change, self.state)
            self._send(target, account, shapes.without_nulls(data))

    def _send(self, target: str, key: int | str, data: object) -> None:
        for ears in list(self.connections):
            if not ears.wants(target, key):
                continue
            hitch = self.faults.event(target)
            if hitch is None:
                self._travel(ears, target, data, LATENCY_S)
            elif hitch.fate == "twice":
                self._travel(ears, target, data, LATENCY_S)
                self._travel(ears, target, data, LATENCY_S)
            elif hitch.fate == "late":
                self.agenda.after(LATENCY_S + hitch.seconds, partial(ears.hear, target, data))

    def _travel(self, ears: Ears, target: str, data: object, seconds: float) -> None:
        self.agenda.after(seconds, partial(ears.hear, target, data), wire=ears)

    def cut(self, why: str) -> None:
        """Every hub connection ends."""
        for ears in list(self.connections):
            self.connections.remove(ears)
            ears.end(why)

    # ------------------------------------------------------------ the trader and the market

    def price(self, contract: str, price: Fraction) -> None:
        """Last, bid and ask move there; what they reach fills."""
        whole = Price(last=price, bid=price, ask=price)
        changes = self.exchange.price(self.clock.wall(), contract, whole)
        self._shown[contract] = whole
        self.requote(contract)
        self.publish(changes)

    def requote(self, contract: str) -> None:
        """The price last shown, once more: a market that stands still goes on quoting."""
        shown = self._shown[contract]
        assert shown.last is not None
        sides = {"last": shown.last, "bid": shown.last, "ask": shown.last}
        row = shapes.quote(self.state.contract(contract), sides, self.clock.wall())
        self._send("GatewayQuote", contract, [contract, row])

    def shown(self, contract: str) -> None:
        """A client that starts watching a contract sees its price at once."""
        if contract in self._shown:
            self.requote(contract)

    def requote_all(self) -> None:
        for contract in self._shown:
            self.requote(contract)

    def order(
        self, contract: str, size: int, kind: OrderType = OrderType.MARKET, price: Fraction | None = None
    ) -> int:
        """The trader's own order; a positive size buys. Its id."""
        ticket = Ticket(
            account_id=ACCOUNT,
            contract_id=contract,
            side=Side.BUY if size > 0 else Side.SELL,
            type=kind,
            size=abs(size),
            limit_price=price if kind is OrderType.LIMIT else None,
            stop_price=price if kind is OrderType.STOP else None,
        )
        outcome = self.exchange.place(self.clock.wall(), ticket)
        self.publish(outcome.changes)
        return outcome.order_id or 0

    def fill_part(self, order: int, size: int) -> None:
        """Part of a resting order is executed at its limit."""
        resting = self.state.orders[order]
        price = resting.limit_price or resting.stop_price
        assert price is not None
        self.publish(self.exchange.execute(self.clock.wall(), order, size, price).changes)

    def can_trade(self, value: bool) -> None:
        account = replace(self.state.accounts[ACCOUNT], can_trade=value)
        self.state.accounts[ACCOUNT] = account
        self.publish([Change(Action.UPDATED, account)])

    def contract_of(self, root: str) -> str:
        found = self.state.catalogue.named(root)
        assert found is not None, root
        return found.id
