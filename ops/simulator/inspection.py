"""Control operations that look at the gateway or change it: state, calls, accounts, contracts, faults."""

from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import msgspec
from msgspec.structs import replace

from ops.simulator import screen, shapes
from ops.simulator.faults import FAULTS, Switch
from ops.simulator.hubs import invocation
from ops.simulator.records import Account
from ops.simulator.shapes import Json
from ops.simulator.sockets import strike
from ops.simulator.stage import Operation, Refused, Stage


class ShowState(Operation, tag="state"):
    """Accounts, positions, orders, trades, prices, requests per path, connected hubs, faults that are on."""

    async def run(self, stage: Stage) -> Json:
        state, hubs = stage.gateway.state, stage.gateway.hubs
        return {
            "now": shapes.stamp(stage.gateway.clock.wall()),
            "accounts": [shapes.account(account) for account in state.accounts.values()],
            "positions": [
                shapes.position(p, state.contract(p.contract_id)) for p in state.positions.values()
            ],
            "orders": [shapes.order(o, state.contract(o.contract_id)) for o in state.orders.values()],
            "trades": [
                shapes.trade(t) | {"commissions": float(t.commissions)} for t in state.trades.values()
            ],
            "prices": {
                contract_id: {
                    name: shapes.number(side) for name, side in msgspec.structs.asdict(price).items()
                }
                for contract_id, price in state.prices.items()
            },
            "requests": dict(stage.front.requests),
            "hubs": [
                {
                    "number": connection.number,
                    "hub": connection.hub,
                    "topics": sorted([target, key] for target, key in connection.topics),
                }
                for connection in hubs.connections
            ],
            "faults": stage.gateway.faults.on(),
        }


class ShowCalls(Operation, tag="calls"):
    """The acting REST calls received, oldest first, after number `since`."""

    since: int = 0

    async def run(self, stage: Stage) -> Json:
        return {"calls": [msgspec.to_builtins(call) for call in stage.front.calls if call.seq > self.since]}


class ResetCalls(Operation, tag="reset_calls"):
    """Forgets the acting calls and the request counters."""

    async def run(self, stage: Stage) -> Json:
        stage.front.calls.clear()
        stage.front.requests.clear()
        return {}


class CanTrade(Operation, tag="can_trade"):
    """Allows or forbids trading in an account."""

    account: int | str
    value: bool

    async def run(self, stage: Stage) -> Json:
        account = replace(stage.account(self.account), can_trade=self.value)
        stage.gateway.tell(screen.change_account(stage.gateway.state, account))
        return {}


class ChangeAccount(Operation, tag="account"):
    """Changes an account, or adds one when `add` and `id` are given (`account` is its name)."""

    account: int | str
    add: bool = False
    id: int | None = None
    balance: Decimal | None = None
    can_trade: bool | None = None
    visible: bool | None = None
    simulated: bool | None = None
    active: bool | None = None
    auto_oco: bool | None = None
    silent: bool = False

    async def run(self, stage: Stage) -> Json:
        if self.add:
            if self.id is None or stage.gateway.state.account(self.id) is not None:
                raise Refused("give an id that is not taken")
            account = Account(id=self.id, name=str(self.account), balance=Fraction(50_000))
        else:
            account = stage.account(self.account)
        names = ("can_trade", "visible", "simulated", "active", "auto_oco")
        account = replace(account, **{n: getattr(self, n) for n in names if getattr(self, n) is not None})
        if self.balance is not None:
            account = replace(account, balance=Fraction(self.balance))
        changes = screen.change_account(stage.gateway.state, account)
        if not self.silent:
            stage.gateway.tell(changes)
        return {"account": shapes.account(account)}


class ChangeContract(Operation, tag="contract"):
    """Changes a contract record, or lists a new one (full id, tick_size and tick_value). `known` false: the
    gateway answers that it does not know it; `ticks` false: its record lacks tick data."""

    contract: str
    tick_size: Decimal | None = None
    tick_value: Decimal | None = None
    name: str | None = None
    active: bool = True
    known: bool = True
    ticks: bool = True

    async def run(self, stage: Stage) -> Json:
        contract = stage.gateway.list_contract(
            self.contract,
            tick_size=None if self.tick_size is None else Fraction(self.tick_size),
            tick_value=None if self.tick_value is None else Fraction(self.tick_value),
            name=self.name,
        )
        contract = replace(contract, active=self.active, known=self.known, ticks_shown=self.ticks)
        stage.gateway.state.catalogue.list(contract)
        return {"contract": shapes.contract(contract)}


class SwitchFault(Switch, Operation, tag="fault"):
    """Switches a fault on or off. `name` "list" lists them, "all" with `on` false switches all off."""

    async def run(self, stage: Stage) -> Json:
        gateway = stage.gateway
        if self.name == "list":
            return {"faults": {name: msgspec.to_builtins(fault) for name, fault in FAULTS.items()}}
        if self.name == "all" and not self.on:
            gateway.faults.clear()
        elif not (fault := gateway.faults.switch(self)).lasting:
            await strike(gateway, self, fault.bites)
        self._freeze(stage)
        gateway.state.market_open = not gateway.faults.matching("market_closed")
        gateway.match()
        gateway.hubs.flush()
        await stage.listen(not gateway.faults.matching("down"))
        return {"faults": gateway.faults.on()}

    def _freeze(self, stage: Stage) -> None:
        """Freezes the connections there are now; later ones are new sockets, which live."""
        if self.name in ("hub_freeze", "all"):
            for connection in stage.gateway.hubs.of(self.hub):
                connection.frozen = self.on


class TokenLife(Operation, tag="token_life"):
    """How long tokens issued from now on are valid, in seconds."""

    seconds: float

    async def run(self, stage: Stage) -> Json:
        stage.gateway.sessions.life = timedelta(seconds=self.seconds)
        return {}


class Wait(Operation, tag="wait"):
    """Waits until so many acting calls were received, or so many connections subscribed to a target
    (`topic`, say GatewayUserTrade; null: connected at all). Refused after `timeout` seconds."""

    calls: int | None = None
    subscribers: int | None = None
    topic: str | None = None
    timeout: float = 5.0

    async def run(self, stage: Stage) -> Json:
        if not await stage.gateway.bell.until(lambda: self._reached(stage), self.timeout):
            raise Refused(f"nothing of the kind within {self.timeout} s")
        return {}

    def _reached(self, stage: Stage) -> bool:
        subscribed = [
            connection
            for connection in stage.gateway.hubs.connections
            if self.topic is None or self.topic in {target for target, _ in connection.topics}
        ]
        return len(stage.front.calls) >= (self.calls or 0) and len(subscribed) >= (self.subscribers or 0)


class Emit(Operation, tag="emit"):
    """Sends an invocation as it stands to every connection of a hub, subscribed or not; then one more for
    each list of arguments in `more`, as fast as they are taken."""

    hub: str
    target: str
    arguments: list[Any] = []
    more: list[list[Any]] = []

    async def run(self, stage: Stage) -> Json:
        for arguments in (self.arguments, *self.more):
            sent = stage.gateway.hubs.send_raw(self.hub, invocation(self.target, arguments))
        return {"connections": sent}


INSPECTION = (
    ShowState
    | ShowCalls
    | ResetCalls
    | CanTrade
    | ChangeAccount
    | ChangeContract
    | SwitchFault
    | TokenLife
    | Wait
    | Emit
)
