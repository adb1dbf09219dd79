"""A pair of hubs on sockets that a test opens, floods and breaks."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from actors.connection.hubs import YIELD_EVERY, HubPair
from actors.connection.port import NoAnswer, Unauthorized
from actors.messages import AccountId, ContractId
from tests.actors.connection.test_gateway_contract import Listener

MNQ = ContractId("CON.F.US.MNQ.U26")


class ScriptedHub:
    """One hub without a socket: `script` is the life of its task."""

    def __init__(self, name: str, script: Callable[[ScriptedHub], Coroutine[Any, Any, None]]) -> None:
        self.hub_name = name
        self.heard = 5.0
        self.handlers: dict[str, Callable[..., object]] = {}
        self.sent: list[tuple[str, list[object]]] = []
        self.opened: Callable[[], object] = lambda: None
        self.closed: Callable[[], object] = lambda: None
        self._script = script
        self._task: asyncio.Task[None] | None = None

    def on(self, event: str, handler: Callable[..., object]) -> None:
        self.handlers[event] = handler

    def on_open(self, handler: Callable[[], object]) -> None:
        self.opened = handler

    def on_close(self, handler: Callable[[], object]) -> None:
        self.closed = handler

    def on_error(self, handler: Callable[[object], object]) -> None:
        pass

    async def start(self) -> None:
        self._task = asyncio.create_task(self._script(self), name=f"hub:{self.hub_name}")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def send(self, method: str, arguments: list[object]) -> None:
        self.sent.append((method, arguments))


async def lives(hub: ScriptedHub) -> None:
    hub.opened()
    await asyncio.Event().wait()


async def never_opens(hub: ScriptedHub) -> None:
    await asyncio.Event().wait()


async def dies_at_once(hub: ScriptedHub) -> None:
    raise ConnectionRefusedError


async def is_denied(hub: ScriptedHub) -> None:
    raise PermissionError


async def opens_and_dies(hub: ScriptedHub) -> None:
    hub.opened()
    await asyncio.sleep(0.01)
    raise ValueError("a record that is no JSON")


def play[T](
    scene: Callable[[HubPair, Listener, ScriptedHub, ScriptedHub], Coroutine[Any, Any, T]],
    user: Callable[[ScriptedHub], Coroutine[Any, Any, None]] = lives,
    market: Callable[[ScriptedHub], Coroutine[Any, Any, None]] = lives,
) -> T:
    async def whole() -> T:
        ears, hubs = Listener(), (ScriptedHub("user-1", user), ScriptedHub("market-1", market))
        pair = HubPair(*hubs, ears, 0.2, lambda error: isinstance(error, PermissionError))
        try:
            return await scene(pair, ears, *hubs)
        finally:
            await pair.close()

    return asyncio.run(whole())


@pytest.mark.parametrize(
    ("user", "market", "error"),
    [
        (never_opens, lives, NoAnswer),
        (lives, never_opens, NoAnswer),
        (dies_at_once, lives, NoAnswer),
        (lives, dies_at_once, NoAnswer),
        (is_denied, lives, Unauthorized),
        (lives, is_denied, Unauthorized),
    ],
)
def test_pair_opens_only_with_both_hubs(user: Any, market: Any, error: type[Exception]) -> None:
    async def scene(pair: HubPair, ears: Listener, *_: object) -> None:
        with pytest.raises(error):
            await pair.open()
        assert ears.all("lost") == [], "whoever opens the pair is told by the error, and may try another"

    play(scene, user, market)


def test_subscriptions_go_to_the_right_hub_and_leave_depth_out() -> None:
    async def scene(pair: HubPair, ears: Listener, user: ScriptedHub, market: ScriptedHub) -> None:
        await pair.open()
        await pair.guard(AccountId(1001))
        await pair.watch(MNQ)
        assert [method for method, _ in user.sent] == [
            "SubscribeAccounts",
            "SubscribeOrders",
            "SubscribePositions",
            "SubscribeTrades",
        ]
        assert market.sent == [("SubscribeContractQuotes", [MNQ]), ("SubscribeContractTrades", [MNQ])]
        user.heard, market.heard = 9.0, 7.0
        assert pair.silent_since() == 7.0

    play(scene)


def test_hub_whose_task_dies_without_a_word_is_lost_once_and_names_the_cause() -> None:
    async def scene(pair: HubPair, ears: Listener, user: ScriptedHub, market: ScriptedHub) -> None:
        await pair.open()
        assert await ears.wait("lost") == ["the hub market-1 ended: ValueError"]
        user.closed()
        assert len(ears.all("lost")) == 1

    play(scene, market=opens_and_dies)


def test_closing_a_pair_is_no_loss() -> None:
    async def scene(pair: HubPair, ears: Listener, user: ScriptedHub, market: ScriptedHub) -> None:
        await pair.open()
        await pair.close()
        user.closed()
        assert ears.all("lost") == []
        with pytest.raises(NoAnswer):
            await pair.guard(AccountId(1001))

    play(scene)


def test_market_handler_gives_way_to_the_loop_every_eighth_message() -> None:
    async def scene(pair: HubPair, ears: Listener, user: ScriptedHub, market: ScriptedHub) -> list[bool]:
        quote = market.handlers["GatewayQuote"]
        answers = [quote(MNQ, {"lastPrice": 1.0}) for _ in range(2 * YIELD_EVERY)]
        gave_way = [inspect.isawaitable(answer) for answer in answers]
        for answer in answers:
            if inspect.isawaitable(answer):
                await answer
        assert len(ears.all("price")) == 2 * YIELD_EVERY
        return gave_way

    assert play(scene) == ([False] * 7 + [True]) * 2


def test_user_handler_never_gives_way_so_that_events_stay_in_order() -> None:
    async def scene(pair: HubPair, ears: Listener, user: ScriptedHub, market: ScriptedHub) -> None:
        for _ in range(20):
            assert user.handlers["GatewayUserPosition"]({"nonsense": 1}) is None
        assert len(ears.all("malformed")) == 20

    play(scene)


@pytest.mark.parametrize("arguments", [(), (MNQ,), (MNQ, "?"), (None, {}), (MNQ, {"lastPrice": "x"})])
def test_market_event_of_any_shape_leaves_the_hub_alive(arguments: tuple[object, ...]) -> None:
    async def scene(pair: HubPair, ears: Listener, user: ScriptedHub, market: ScriptedHub) -> None:
        market.handlers["GatewayQuote"](*arguments)
        market.handlers["GatewayTrade"](*arguments)
        assert ears.all("price") == []
        assert ears.all("malformed") == []

    play(scene)
