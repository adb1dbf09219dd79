"""Trying an account at the gateway: login, accounts, hubs, snapshot, first events, and one trade if asked.

On a gateway object of its own, beside the connection in force, which is not touched. Each step says what it
found; the first that fails is the last. Whatever happens after a trade was opened, it is closed again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

from msgspec import Struct

from actors.clock import Clock
from actors.connection.budget import Lane
from actors.connection.port import Answer, Gateway, GatewayError, Hubs
from actors.connection.records import front_month
from actors.connection.translate import Malformed, Prices
from actors.messages import (
    AccountReport,
    Call,
    CallKind,
    Contract,
    Fill,
    Order,
    OrderType,
    Outcome,
    PositionReport,
)

MICROS = ("MES", "MNQ", "M2K", "MYM")
"""Of these the first that the account does not hold is traded."""
EVENT_S = 10.0
FILL_S = 10.0
LATE_S = 7.0
"""An order whose outcome is unknown may still be carried out for so long."""
FLAT_TRIES = 20
FLAT_EVERY_S = 0.5


class Step(Struct, frozen=True):
    """One line of the answer."""

    name: str
    ok: bool
    text: str


class Failed(Exception):
    """This step did not succeed, for this reason; nothing after it is tried."""


class Asked(Struct, frozen=True):
    """What to try."""

    accounts: tuple[str, ...]
    """By name."""
    trade: bool
    """One micro contract is opened and closed; one account, a simulated one."""
    day_start: datetime
    event_s: float = EVENT_S
    """How long to wait for a first price."""


class _Listener:
    """`port.Ears` that only notes what came."""

    def __init__(self) -> None:
        self.priced_first = asyncio.Event()
        self.fills: list[Fill] = []
        self.heard = asyncio.Event()
        self.ended = ""

    def account_changed(self, account: AccountReport, mono: float) -> None: ...

    def position_changed(self, position: PositionReport, mono: float) -> None: ...

    def order_changed(self, order: Order, mono: float) -> None: ...

    def filled(self, fill: Fill, mono: float) -> None:
        self.fills.append(fill)
        self.heard.set()

    def priced(self, prices: Prices, mono: float) -> None:
        self.priced_first.set()

    def malformed(self, error: Malformed) -> None:
        self.ended = str(error)

    def unpriced(self, error: Malformed) -> None: ...

    def logged_out(self) -> None: ...

    def lost(self, why: str) -> None:
        self.ended = why


class Trial:
    """One try, from the login to the end. The gateway is closed afterwards."""

    def __init__(self, gateway: Gateway, clock: Clock, asked: Asked) -> None:
        self._gateway, self._clock, self._asked = gateway, clock, asked
        self._ears = _Listener()
        self._hubs: Hubs | None = None
        self._steps: list[Step] = []
        self._accounts: tuple[AccountReport, ...] = ()
        self._held: set[str] = set()

    async def run(self) -> tuple[Step, ...]:
        steps = [
            ("login", self._login),
            ("accounts", self._find),
            ("hubs", self._open),
            ("snapshot", self._snapshot),
            ("first events", self._listen),
        ]
        if self._asked.trade:
            steps.append(("trade", self._trade))
        try:
            for name, step in steps:
                if not await self._take(name, step):
                    break
        finally:
            if self._hubs is not None:
                await self._hubs.close()
            await self._gateway.close()
        return tuple(self._steps)

    async def _take(self, name: str, step: Callable[[], object]) -> bool:
        try:
            text = await step()  # type: ignore[misc]
        except (Failed, GatewayError, Malformed) as error:
            self._steps.append(Step(name, False, str(error)))
            return False
        self._steps.append(Step(name, True, str(text)))
        return True

    # ------------------------------------------------------------------ steps

    async def _login(self) -> str:
        session = await self._gateway.login()
        return f"a token for {timedelta(seconds=round(session.lifetime_s))}"

    async def _find(self) -> str:
        found = {account.name: account for account in await self._gateway.accounts(Lane.VERIFY)}
        missing = [name for name in self._asked.accounts if name not in found]
        if missing:
            raise Failed(f"not among the active ones: {', '.join(missing)}; there are {', '.join(found)}")
        self._accounts = tuple(found[name] for name in self._asked.accounts)
        return ", ".join(_described(account) for account in self._accounts)

    async def _open(self) -> str:
        self._hubs = await self._gateway.open_hubs(self._ears)
        for account in self._accounts:
            await self._hubs.guard(account.id)
        return "both open, subscribed"

    async def _snapshot(self) -> str:
        return "; ".join([await self._read(account) for account in self._accounts])

    async def _read(self, account: AccountReport) -> str:
        positions = [p for p in await self._gateway.positions(account.id, Lane.VERIFY) if p.size]
        orders = [o for o in await self._gateway.orders(account.id, Lane.VERIFY) if o.working]
        fills = await self._gateway.fills(account.id, self._asked.day_start, Lane.VERIFY)
        self._held |= {p.contract for p in positions} | {o.contract for o in orders}
        counts = f"{len(positions)} positions, {len(orders)} working orders, {len(fills)} trades today"
        return f"{account.name}: {counts}"

    async def _listen(self) -> str:
        contract = await self._micro(free=False)
        hubs = self._open_hubs()
        await hubs.watch(contract.id)
        try:
            async with asyncio.timeout(self._asked.event_s):
                await self._ears.priced_first.wait()
        except TimeoutError:
            if self._ears.ended:
                raise Failed(self._ears.ended) from None
            silent_s = self._clock.mono() - hubs.silent_since()
            text = f"no price of {contract.name} within {self._asked.event_s:g} s (is the market closed?)"
            return f"{text}; the hubs were last heard {silent_s:.0f} s ago"
        return f"a price of {contract.name}"

    def _open_hubs(self) -> Hubs:
        assert self._hubs is not None
        return self._hubs

    async def _micro(self, *, free: bool) -> Contract:
        """The front month of the first micro product; `free`: without position or order in the account."""
        live = any(account.simulated is False for account in self._accounts)
        for root in MICROS:
            found = await self._gateway.search_contracts(root, live)
            listed = [one for one in found if one.contract.root == root]
            contract = front_month(listed) if listed else None
            if contract is not None and not (free and contract.id in self._held):
                return contract
        without = " without position or order" if free else ""
        raise Failed(f"no micro contract is to be had{without}: {', '.join(MICROS)}")

    # ------------------------------------------------------------------ one trade

    async def _trade(self) -> str:
        (account,) = self._accounts
        if account.simulated is not True:
            raise Failed(f"{account.name} is not known to be a simulated account; nothing was traded")
        if account.can_trade is False:
            raise Failed(f"the firm does not allow {account.name} to trade; nothing was traded")
        contract = await self._micro(free=True)
        opened = await self._act(account, CallKind.PLACE, contract, size=1)
        if opened.outcome is Outcome.REFUSED:
            raise Failed(f"cannot buy 1 {contract.name}: {opened.text}; nothing was traded")
        try:
            await self._filled(contract)
        finally:
            closed = await self._flat(account, contract)
        if opened.outcome is not Outcome.CONFIRMED:
            await asyncio.sleep(LATE_S)
            await self._flat(account, contract)
            raise Failed(f"buying 1 {contract.name}: {opened.text}; the account is flat in it")
        took_ms = (opened.done_mono - opened.sent_mono) * 1e3
        return f"1 {contract.name} bought ({took_ms:.0f} ms), closed, verified flat after {closed} read(s)"

    async def _filled(self, contract: Contract) -> None:
        try:
            async with asyncio.timeout(FILL_S):
                while not any(fill.contract == contract.id for fill in self._ears.fills):
                    self._ears.heard.clear()
                    await self._ears.heard.wait()
        except TimeoutError:
            raise Failed(f"no fill of {contract.name} was heard within {FILL_S:g} s; closed again") from None

    async def _flat(self, account: AccountReport, contract: Contract) -> int:
        """Close until a read shows it flat; how many reads that took. Raises Failed where it never does."""
        said = ""
        for number in range(1, FLAT_TRIES + 1):
            try:
                closed = await self._act(account, CallKind.CLOSE, contract)
                said = closed.text
                positions = await self._gateway.positions(account.id, Lane.VERIFY)
                if not any(p.size for p in positions if p.contract == contract.id):
                    return number
            except (GatewayError, Malformed) as error:
                said = str(error)
            await asyncio.sleep(FLAT_EVERY_S)
        raise Failed(f"{contract.name} is NOT FLAT ({said}): close it in the broker's own screen")

    async def _act(self, account: AccountReport, kind: CallKind, contract: Contract, size: int = 0) -> Answer:
        number = self._clock.mono()
        order_type = OrderType.MARKET if kind is CallKind.PLACE else None
        call = Call(f"trial/{kind}/{number}", account.id, kind, contract.id, size=size, order_type=order_type)
        return await self._gateway.act(call)


def _described(account: AccountReport) -> str:
    kind = {True: "simulated", False: "live", None: "of unknown kind"}[account.simulated]
    trading = {True: "may trade", False: "may not trade", None: "canTrade unknown"}[account.can_trade]
    return f"{account.name} ({kind}, {trading})"
