"""The gateway itself: the exchange with its clock, and what it tells its hubs. Lives on one asyncio loop."""

from collections.abc import Callable, Iterable
from fractions import Fraction
from functools import partial

import msgspec
from msgspec.structs import replace

from ops.simulator import shapes
from ops.simulator.bell import Bell
from ops.simulator.clock import Clock
from ops.simulator.contracts import Contract
from ops.simulator.exchange import Exchange
from ops.simulator.faults import Faults
from ops.simulator.hubs import Connection, Event, Hubs, encode
from ops.simulator.prices import Price
from ops.simulator.records import Account, Action, Change
from ops.simulator.sessions import Sessions
from ops.simulator.settings import Settings
from ops.simulator.shapes import Json
from ops.simulator.state import State


class Gateway:
    """One broker behind its protocol. Runs on the loop it is used from; not thread-safe."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.settings = settings
        self.clock = clock
        self.state = State(clock.wall(), Fraction(settings.fees), Fraction(settings.commissions))
        self.state.close_cancels_brackets = settings.close_cancels_brackets
        for setup in settings.accounts:
            account = Account(**msgspec.structs.asdict(setup) | {"balance": Fraction(setup.balance)})
            self.state.accounts[account.id] = account
        self.exchange = Exchange(self.state)
        self.sessions = Sessions(settings.user, settings.api_key, settings.token_life)
        self.faults = Faults()
        self.bell = Bell()
        self.hubs = Hubs(
            self.faults, self.authorised, clock.mono, settings.ping_every, self._subscribed, self.bell
        )
        self._shown: dict[str, Price] = {}

    def tell(self, changes: Iterable[Change], written: Callable[[str, float], None] | None = None) -> None:
        """Sends the events of a change to the user hub; `written` hears each target and its moment."""
        self.hubs.publish([self._event(change, written) for change in changes])

    def move(self, contract_id: str, sides: dict[str, Fraction], *, silent: bool = False) -> None:
        """Some of last, bid and ask moved: tells them (unless silent), then what they filled."""
        now = self.clock.wall()
        changes = self.exchange.price(now, contract_id, replace(self.state.price(contract_id), **sides))
        if not silent:
            before = self._shown.get(contract_id, Price())
            self._shown[contract_id] = replace(before, **sides)
            falling = before.last is not None and sides.get("last", before.last) < before.last
            self.hubs.publish(self._market_events(contract_id, sides, falling))
        self.tell(changes)

    def requote(self, contract_id: str) -> list[Event]:
        """The quote last shown, whole, as a market that stands still goes on sending it."""
        shown = msgspec.structs.asdict(self._shown[contract_id])
        sides = {name: side for name, side in shown.items() if side is not None}
        return self._market_events(contract_id, sides, falling=False)[:1]

    def _market_events(self, contract_id: str, sides: dict[str, Fraction], falling: bool) -> list[Event]:
        """Quote with the sides that moved; a trade when last did; depth when the touch did."""
        contract, now = self.state.contract(contract_id), self.clock.wall()
        told: list[tuple[str, Json | list[Json]]] = [("GatewayQuote", shapes.quote(contract, sides, now))]
        if "last" in sides:
            told.append(("GatewayTrade", [shapes.market_trade(contract, sides["last"], falling, now)]))
        if depth := shapes.depth(sides, now):
            told.append(("GatewayDepth", depth))
        return [Event(hub="market", target=target, key=contract_id, data=data) for target, data in told]

    def shown(self) -> list[str]:
        return list(self._shown)

    def moving(self) -> list[Contract]:
        """The contracts that a random market moves: priced ones and those a client watches."""
        watched = {str(key) for each in self.hubs.of("market") for _, key in each.topics}
        found = (
            self.state.catalogue.find(contract_id) for contract_id in sorted(watched | set(self.state.prices))
        )
        return [contract for contract in found if contract is not None]

    def forget_price(self, contract_id: str) -> None:
        """As if the contract never had a price."""
        self.state.prices.pop(contract_id, None)
        self.state.tapes.pop(contract_id, None)
        self._shown.pop(contract_id, None)

    def list_contract(
        self, named: str, tick_size: Fraction | None, tick_value: Fraction | None, name: str | None
    ) -> Contract:
        """A contract record with some fields replaced; one that is not listed yet needs its ticks."""
        contract = self.state.catalogue.named(named)
        if contract is None:
            if tick_size is None or tick_value is None:
                raise ValueError(f"{named} is not listed: give tick_size and tick_value")
            parts = named.split(".")
            symbol = ".".join(parts[1:4])
            contract = Contract(named, parts[-2], "".join(parts[-2:]), named, symbol, tick_size, tick_value)
        return replace(
            contract,
            tick_size=tick_size or contract.tick_size,
            tick_value=tick_value or contract.tick_value,
            name=name or contract.name,
        )

    def burst(self, connection: Connection, count: int, contract_id: str | None) -> list[str]:
        """`count` records for a flood: quotes of a contract, or updates of the first account."""
        if connection.hub == "user":
            account = next(iter(self.state.accounts.values()))
            return [encode(self._event(Change(Action.UPDATED, account)))] * count
        shown = contract_id or next(iter(self._shown), None)
        if shown is None:
            raise ValueError("no contract has a price to send a burst of")
        return [encode(event) for event in self.requote(shown)] * count

    def _event(self, change: Change, written: Callable[[str, float], None] | None = None) -> Event:
        target, account_id, data = shapes.event(change, self.state)
        heard = None if written is None else partial(written, target)
        action = int(change.action)
        return Event(hub="user", target=target, key=account_id, data=data, action=action, written=heard)

    def _subscribed(self, connection: Connection, target: str, key: int | str | None) -> None:
        """A client that starts watching a contract sees its price at once, as in a market that moves."""
        if target != "GatewayQuote" or not self.settings.quote_on_subscribe or key not in self._shown:
            return
        for event in self.requote(str(key)):
            connection.send_event(event)

    def match(self) -> None:
        """Fills what the prices reach, after a market that was closed."""
        for contract_id in list(self.state.prices):
            self.tell(self.exchange.match(self.clock.wall(), contract_id))

    def authorised(self, token: str) -> bool:
        return self.sessions.valid(token, self.clock.wall())
