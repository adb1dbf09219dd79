"""The gateway itself: the exchange with its clock, and what it tells its hubs. One asyncio loop, no sockets."""

from collections.abc import Iterable
from fractions import Fraction

import msgspec
from msgspec.structs import replace

from ops.simulator import shapes
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
        self.hubs = Hubs(self.faults, self.authorised, clock.mono, settings.ping_every, self._subscribed)
        self._shown: dict[str, Price] = {}

    def tell(self, changes: Iterable[Change]) -> None:
        """Sends the events of a change to the user hub."""
        self.hubs.publish([self._event(change) for change in changes])

    def move(self, contract_id: str, price: Price, *, silent: bool = False) -> None:
        """The market moved: quote, trade and depth go out, then what the price filled. Silent: fills only."""
        before = self._shown.get(contract_id, Price())
        changes = self.exchange.price(self.clock.wall(), contract_id, price)
        if not silent:
            self._shown[contract_id] = price
            self.hubs.publish(self.quote(contract_id, price, before))
        self.tell(changes)

    def quote(self, contract_id: str, price: Price, before: Price) -> list[Event]:
        """The market hub's events for a move: the quote has only what changed."""
        now = shapes.stamp(self.clock.wall())
        symbol = self.state.contract(contract_id).symbol
        fields = (("lastPrice", price.last, before.last), ("bestBid", price.bid, before.bid))
        fields = (*fields, ("bestAsk", price.ask, before.ask))
        changed: Json = {
            name: shapes.number(new) for name, new, old in fields if new is not None and new != old
        }
        if not changed:
            return []
        data: Json = {
            "symbol": symbol,
            **changed,
            "lastUpdated": now,
            "timestamp": now,
            "contract": contract_id,
        }
        events = [Event(hub="market", target="GatewayQuote", key=contract_id, data=data)]
        if "lastPrice" in changed:
            side = 0 if before.last is None or (price.last or 0) >= before.last else 1
            row: Json = {"symbolId": symbol, "price": changed["lastPrice"], "timestamp": now}
            row |= {"type": side, "volume": 1, "contractId": contract_id}
            events.append(Event(hub="market", target="GatewayTrade", key=contract_id, data=[row]))
        depth: list[Json] = [
            {"timestamp": now, "type": kind, "price": changed[name], "volume": 1, "currentVolume": 1}
            for name, kind in (("bestAsk", 3), ("bestBid", 4))
            if name in changed
        ]
        if depth:
            events.append(Event(hub="market", target="GatewayDepth", key=contract_id, data=depth))
        return events

    def requote(self, contract_id: str) -> list[Event]:
        """The full quote last shown, again, as a market that stands still goes on sending."""
        return self.quote(contract_id, self._shown[contract_id], Price())[:1]

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
        for book in (self.state.prices, self.state.tapes, self._shown):
            book.pop(contract_id, None)  # type: ignore[attr-defined]

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

    def _event(self, change: Change) -> Event:
        target, account_id, data = shapes.event(change, self.state)
        return Event(hub="user", target=target, key=account_id, data=data, action=int(change.action))

    def _subscribed(self, connection: Connection, target: str, key: int | str | None) -> None:
        """A client that starts watching a contract sees its price at once, as in a market that moves."""
        if target != "GatewayQuote" or not self.settings.quote_on_subscribe or key not in self._shown:
            return
        for event in self.requote(str(key)):
            connection.send_event(event)

    def authorised(self, token: str) -> bool:
        return self.sessions.valid(token, self.clock.wall())
