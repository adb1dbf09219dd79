"""A pair of hubs, user and market: what is heard is translated and told in the receive step.

The hub itself is the SDK's (`projectx`); here is what we do with two of them. Three traps of that library
shape this page: a handler that raises ends its hub without a word, so what cannot be read is reported
instead; a hub that ends otherwise tells nobody but its task, so the tasks are watched; and while frames
are buffered its receive loop never yields, so the market handler does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from actors.connection import translate
from actors.connection.port import Ears, NoAnswer, Unauthorized
from actors.connection.translate import Malformed
from actors.messages import AccountId, ContractId

GIVE_WAY_S = 0.002
"""After a fill the user hub reads no further for this long: the account, a rule and enforcement need the
processor first, and the close they may send needs the loop. Only once in `GIVE_WAY_EVERY_S`: behind a fill
come mostly confirmations of it, but in a burst come more fills."""
GIVE_WAY_EVERY_S = 0.01
YIELD_EVERY = 8
"""Market messages between two turns of the loop; without it a burst of quotes delays a close by 10 ms."""


class Hub(Protocol):
    """One SignalR hub connection, as the SDK gives it, with the stamp of its last frame."""

    hub_name: str
    heard: float

    def on(self, event: str, handler: Callable[..., object]) -> None: ...

    def on_open(self, handler: Callable[[], object]) -> None: ...

    def on_close(self, handler: Callable[[], object]) -> None: ...

    def on_error(self, handler: Callable[[object], object]) -> None: ...

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def send(self, method: str, arguments: list[object]) -> None: ...


class HubPair:
    """`port.Hubs`. Whatever ends one of the two is told once as lost."""

    def __init__(
        self,
        user: Hub,
        market: Hub,
        ears: Ears,
        timeout: float,
        denied: Callable[[BaseException], bool],
    ) -> None:
        self._user = user
        self._market = market
        self._ears = ears
        self._timeout = timeout
        self._is_denied = denied
        self._market_messages = 0
        self._closing = False
        self._denied = False
        self._told_open = False
        self._dead: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._opened = [asyncio.Event(), asyncio.Event()]
        self._bind()

    def _bind(self) -> None:
        ears, user, market = self._ears, self._user, self._market
        user.on("GatewayUserAccount", self._heard(translate.account, ears.account_changed))
        user.on("GatewayUserPosition", self._heard(translate.position, ears.position_changed))
        user.on("GatewayUserOrder", self._heard(translate.order, ears.order_changed))
        user.on("GatewayUserTrade", self._then_give_way(self._heard(translate.fill, ears.filled)))
        market.on("GatewayQuote", self._priced(translate.quote))
        market.on("GatewayTrade", self._priced(translate.market_trade))
        for hub, opened in zip((user, market), self._opened, strict=True):
            hub.on("GatewayLogout", self._logged_out)
            hub.on_open(opened.set)
            hub.on_close(self._closed(hub.hub_name))
            hub.on_error(_nothing)

    def _heard[T](self, read: Callable[[object], T], tell: Callable[[T, float], None]) -> Callable[..., None]:
        hub, malformed = self._user, self._ears.malformed

        def handler(*arguments: object) -> None:
            try:
                event = read(arguments[0] if arguments else None)
            except Malformed as error:
                malformed(error)
            else:
                tell(event, hub.heard)

        return handler

    def _then_give_way(self, handle: Callable[..., None]) -> Callable[..., object]:
        mono, again = asyncio.get_running_loop().time, 0.0

        def handler(*arguments: object) -> object:
            nonlocal again
            handle(*arguments)
            now = mono()
            if now < again:
                return None
            again = now + GIVE_WAY_EVERY_S
            return asyncio.sleep(GIVE_WAY_S)

        return handler

    def _priced(self, read: Callable[[object, object], translate.Prices | None]) -> Callable[..., object]:
        hub, ears = self._market, self._ears

        def handler(*arguments: object) -> object:
            try:
                prices = read(*arguments) if len(arguments) == 2 else None
            except Malformed as error:
                ears.unpriced(error)
            else:
                if prices is not None:
                    ears.priced(prices, hub.heard)
            self._market_messages += 1
            return None if self._market_messages % YIELD_EVERY else asyncio.sleep(0)

        return handler

    def _logged_out(self, *arguments: object) -> None:
        self._ears.logged_out()

    def _closed(self, name: str) -> Callable[[], None]:
        return lambda: self._lose(f"the hub {name} was closed")

    def _ended(self, name: str) -> Callable[[asyncio.Task[object]], None]:
        def ended(task: asyncio.Task[object]) -> None:
            # Asking for the exception also keeps asyncio from reporting it as never retrieved.
            error = None if task.cancelled() else task.exception()
            self._denied = self._denied or (error is not None and self._is_denied(error))
            self._lose(f"the hub {name} ended" + ("" if error is None else f": {type(error).__name__}"))

        return ended

    def _lose(self, why: str) -> None:
        if not self._closing and not self._dead.done():
            self._dead.set_result(why)
            if self._told_open:  # before, whoever opens it is told by an error
                self._ears.lost(why)

    async def open(self) -> None:
        """Connect both and subscribe account changes. Raises Unauthorized or NoAnswer."""
        for hub in (self._user, self._market):
            await hub.start()
            self._task_of(hub).add_done_callback(self._ended(hub.hub_name))
        await self._until_open()
        await self._call(self._user, "SubscribeAccounts", [])
        if self._dead.done():
            raise NoAnswer(self._dead.result())
        self._told_open = True

    def _task_of(self, hub: Hub) -> asyncio.Task[object]:
        name = f"hub:{hub.hub_name}"
        return next(task for task in asyncio.all_tasks() if task.get_name() == name)

    async def _until_open(self) -> None:
        waits = [asyncio.create_task(each.wait()) for each in self._opened]
        both = asyncio.gather(*waits)
        both.add_done_callback(lambda done: done.cancelled() or done.exception())  # given up, it is no matter
        try:
            ends: set[asyncio.Future[Any]] = {both, self._dead}
            await asyncio.wait(ends, timeout=self._timeout, return_when=asyncio.FIRST_COMPLETED)
            if self._denied:
                raise Unauthorized("the hubs do not accept the token")
            if self._dead.done():
                raise NoAnswer(self._dead.result())
            if not both.done():
                raise NoAnswer(f"the hubs did not open within {self._timeout:g} s")
        finally:
            both.cancel()

    async def guard(self, account: AccountId) -> None:
        for kind in ("Orders", "Positions", "Trades"):
            await self._call(self._user, f"Subscribe{kind}", [account])

    async def unguard(self, account: AccountId) -> None:
        for kind in ("Orders", "Positions", "Trades"):
            await self._call(self._user, f"Unsubscribe{kind}", [account])

    async def watch(self, contract: ContractId) -> None:
        for kind in ("Quotes", "Trades"):
            await self._call(self._market, f"SubscribeContract{kind}", [contract])

    async def unwatch(self, contract: ContractId) -> None:
        for kind in ("Quotes", "Trades"):
            await self._call(self._market, f"UnsubscribeContract{kind}", [contract])

    async def _call(self, hub: Hub, method: str, arguments: list[object]) -> None:
        if self._closing:
            raise NoAnswer(f"cannot send {method}: the hubs are closed")
        try:
            async with asyncio.timeout(self._timeout):
                await hub.send(method, arguments)
        except (RuntimeError, TimeoutError, OSError) as error:
            raise NoAnswer(f"cannot send {method}: {type(error).__name__}") from error

    def silent_since(self) -> float:
        return min(self._user.heard, self._market.heard)

    async def close(self) -> None:
        self._closing = True
        await asyncio.gather(self._user.stop(), self._market.stop(), return_exceptions=True)


def _nothing(message: object) -> None:
    """A completion error answers nothing of ours: subscriptions carry no invocation id."""
