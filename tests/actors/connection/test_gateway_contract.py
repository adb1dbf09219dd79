"""What every gateway does, proven on the fake one and on ProjectX through the real SDK and the simulator."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from fractions import Fraction
from typing import Any

import pytest

from actors.clock import SystemClock
from actors.connection.budget import Lane, Limits
from actors.connection.port import (
    Gateway,
    LoginDenied,
    NoAnswer,
    NotKnown,
    RateLimited,
    Refused,
    Unauthorized,
)
from actors.connection.projectx import ProjectXGateway
from actors.connection.translate import Malformed
from actors.messages import Call, CallKind, ContractId, OrderId, OrderType, Outcome
from ops.simulator.settings import Settings
from ops.simulator.thread import ThreadedSimulator, run_in_thread
from tests.actors.connection.bench import A, settings_of
from tests.actors.connection.fake_gateway import FakeGateway
from tests.actors.hosting import wait_for
from tests.chaos.broker import Broker
from tests.chaos.gateway import SimGateway

CLOCK = SystemClock()
UNHEARD_OF = ContractId("CON.F.US.XYZ.U26")


class Listener:
    """Ears that remember."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, object]] = []
        self.changed = asyncio.Event()

    def note(self, what: str, value: object) -> None:
        self.heard.append((what, value))
        self.changed.set()

    def account_changed(self, account: object, mono: float) -> None:
        self.note("account", account)

    def position_changed(self, position: object, mono: float) -> None:
        self.note("position", position)

    def order_changed(self, order: object, mono: float) -> None:
        self.note("order", order)

    def filled(self, fill: object, mono: float) -> None:
        self.note("fill", fill)

    def priced(self, prices: object, mono: float) -> None:
        self.note("price", prices)

    def malformed(self, error: Malformed) -> None:
        self.note("malformed", error)

    def unpriced(self, error: Malformed) -> None:
        self.note("unpriced", error)

    def logged_out(self) -> None:
        self.note("logout", None)

    def lost(self, why: str) -> None:
        self.note("lost", why)

    async def wait(self, what: str, count: int = 1) -> list[Any]:
        """The first so many things of a kind, waiting for them."""
        async with asyncio.timeout(5):
            while len(self.all(what)) < count:
                self.changed.clear()
                await self.changed.wait()
        return self.all(what)

    def all(self, what: str) -> list[Any]:
        return [value for kind, value in self.heard if kind == what]


class OnSimulator:
    """ProjectX on the simulator, and the market played through its control door."""

    def __init__(self, sim: ThreadedSimulator) -> None:
        self.sim = sim
        sim.control({"op": "price", "contract": "MNQ", "price": 19000})
        record: Any = sim.control({"op": "contract", "contract": self._front_month()})
        self.contract = ContractId(record["contract"]["id"])

    def _front_month(self) -> str:
        (contract,) = self.sim.control({"op": "state"})["prices"]  # type: ignore[misc]
        return contract

    @asynccontextmanager
    async def gateway(self, key: str | None = None) -> AsyncIterator[Gateway]:
        settings = settings_of(self.sim.urls, **({"key": key} if key else {}))
        gateway = ProjectXGateway(settings, CLOCK)
        yield gateway
        await gateway.close()

    async def trade(self, size: int) -> None:
        await self.control(
            {
                "op": "order",
                "account": A,
                "contract": "MNQ",
                "side": "buy" if size > 0 else "sell",
                "size": abs(size),
                "type": "market",
            }
        )

    async def quote(self, price: float) -> None:
        await self.control({"op": "price", "contract": "MNQ", "price": price})

    async def revoke(self) -> None:
        await self.control({"op": "fault", "name": "revoke_tokens"})

    async def subscribed(self, topic: str) -> None:
        """A subscription is not acknowledged: wait until the gateway has it."""
        await self.control({"op": "wait", "subscribers": 1, "topic": topic})

    async def lose_hubs(self) -> None:
        await self.control({"op": "fault", "name": "hub_reset"})

    async def control(self, request: dict[str, Any]) -> Any:
        return await asyncio.to_thread(self.sim.control, request)


class OnFake:
    """The fake gateway, played directly."""

    def __init__(self) -> None:
        self.fake = FakeGateway(CLOCK)
        self.contract = ContractId("CON.F.US.MNQ.U26")

    @asynccontextmanager
    async def gateway(self, key: str | None = None) -> AsyncIterator[Gateway]:
        self.fake.key = key or self.fake.key
        yield self.fake
        await self.fake.close()

    async def trade(self, size: int) -> None:
        self.fake.trade(size)

    async def quote(self, price: float) -> None:
        self.fake.quote(price)

    async def revoke(self) -> None:
        self.fake.revoke()

    async def subscribed(self, topic: str) -> None:
        pass

    async def lose_hubs(self) -> None:
        self.fake.pairs[-1].lose()


class AtOnce:
    """An agenda on which everything happens in the loop's next round, in order."""

    def after(self, seconds: float, act: Callable[[], None], wire: object = None) -> None:
        asyncio.get_running_loop().call_soon(act)


class OnSimulation:
    """The gateway of the simulated world, on a broker that answers at once."""

    def __init__(self) -> None:
        self.broker = Broker(CLOCK, AtOnce())  # type: ignore[arg-type]
        self.contract = ContractId(self.broker.contract_of("MNQ"))

    @asynccontextmanager
    async def gateway(self, key: str | None = None) -> AsyncIterator[Gateway]:
        self.broker.price(self.contract, Fraction(19_000))
        self.broker.key = key or self.broker.key
        gateway = SimGateway(self.broker, CLOCK, 2.0, Limits())
        yield gateway
        await gateway.close()

    async def trade(self, size: int) -> None:
        self.broker.order(self.contract, size)

    async def quote(self, price: float) -> None:
        self.broker.price(self.contract, Fraction(price))

    async def revoke(self) -> None:
        self.broker.tokens.clear()

    async def subscribed(self, topic: str) -> None:
        pass

    async def lose_hubs(self) -> None:
        self.broker.cut("the connection was reset")


@pytest.fixture(scope="module")
def simulator() -> Iterator[ThreadedSimulator]:
    with run_in_thread(Settings(rate_limit=None)) as sim:
        yield sim


@pytest.fixture(params=["fake", "simulation", "projectx"])
def desk(request: pytest.FixtureRequest) -> Iterator[OnSimulator | OnFake | OnSimulation]:
    if request.param != "projectx":
        yield OnFake() if request.param == "fake" else OnSimulation()
        return
    with run_in_thread(Settings(rate_limit=None)) as sim:
        yield OnSimulator(sim)


def play(
    desk: OnSimulator | OnFake | OnSimulation, scene: Callable[[Gateway], Coroutine[Any, Any, None]]
) -> None:
    """Run a scene on a gateway that is logged in."""

    async def whole() -> None:
        async with desk.gateway() as gateway:
            await gateway.login()
            await scene(gateway)

    asyncio.run(whole())


def call(kind: CallKind, contract: ContractId, **fields: Any) -> Call:
    return Call("receipt/1", A, kind, contract, **fields)


type Desk = OnSimulator | OnFake | OnSimulation


def test_login_and_renewal_give_sessions_of_growing_number(desk: Desk) -> None:
    async def scene(gateway: Gateway) -> None:
        first, second = await gateway.login(), await gateway.renew()
        assert second.number > first.number
        assert 80_000 < second.lifetime_s <= 86_400

    play(desk, scene)


def test_wrong_key_is_denied_with_the_code(desk: Desk) -> None:
    async def whole() -> None:
        async with desk.gateway(key="wrong-key-0000000000") as gateway:
            with pytest.raises(LoginDenied) as denied:
                await gateway.login()
            assert denied.value.code == 3

    asyncio.run(whole())


def test_accounts_are_listed_with_their_trading_right(desk: Desk) -> None:
    async def scene(gateway: Gateway) -> None:
        accounts = {each.id: each for each in await gateway.accounts(Lane.REST)}
        assert (accounts[A].name, accounts[A].can_trade, accounts[A].simulated) == (
            "PRAC-V2-1001",
            True,
            True,
        )

    play(desk, scene)


@pytest.mark.parametrize("size", [3, -2])
def test_positions_and_fills_are_signed(desk: Desk, size: int) -> None:
    async def scene(gateway: Gateway) -> None:
        await desk.trade(size)
        (position,) = await gateway.positions(A, Lane.REST)
        (fill,) = await gateway.fills(A, CLOCK.wall() - timedelta(hours=1), Lane.REST)
        assert (position.size, position.contract, fill.size, fill.pnl) == (size, desk.contract, size, None)
        assert await gateway.fills(A, CLOCK.wall() + timedelta(hours=1), Lane.REST) == ()

    play(desk, scene)


def test_close_is_confirmed_and_a_second_one_finds_nothing(desk: Desk) -> None:
    async def scene(gateway: Gateway) -> None:
        await desk.trade(2)
        first = await gateway.act(call(CallKind.CLOSE, desk.contract))
        second = await gateway.act(call(CallKind.CLOSE, desk.contract))
        assert (first.outcome, first.code) == (Outcome.CONFIRMED, 0)
        assert (second.outcome, second.code) == (Outcome.CONFIRMED, 2)
        assert await gateway.positions(A, Lane.REST) == ()
        assert first.sent_mono <= first.done_mono

    play(desk, scene)


@pytest.mark.parametrize("size", [3, -3])
def test_partial_close_leaves_the_rest(desk: Desk, size: int) -> None:
    async def scene(gateway: Gateway) -> None:
        await desk.trade(size)
        answer = await gateway.act(call(CallKind.PARTIAL_CLOSE, desk.contract, size=1))
        (position,) = await gateway.positions(A, Lane.REST)
        assert (answer.outcome, position.size) == (Outcome.CONFIRMED, size // 3 * 2)

    play(desk, scene)


def test_stop_is_placed_found_by_its_tag_moved_and_cancelled(desk: Desk) -> None:
    async def scene(gateway: Gateway) -> None:
        await desk.trade(2)
        place = call(
            CallKind.PLACE,
            desk.contract,
            size=-2,
            order_type=OrderType.STOP,
            stop_price=18_990.0,
            tag="riskd-1",
        )
        placed = await gateway.act(place)
        assert placed.order is not None
        for search in (gateway.orders, gateway.open_orders):
            (order,) = await search(A, Lane.REST)
            assert (order.id, order.tag, order.size, order.stop_price) == (
                placed.order,
                "riskd-1",
                -2,
                18_990.0,
            )
        move = call(CallKind.MODIFY, desk.contract, order=placed.order, stop_price=18_995.0)
        assert (await gateway.act(move)).outcome is Outcome.CONFIRMED
        assert (await gateway.orders(A, Lane.REST))[0].stop_price == 18_995.0
        cancel = call(CallKind.CANCEL, desk.contract, order=placed.order)
        assert (await gateway.act(cancel)).code == 0
        assert await gateway.orders(A, Lane.REST) == ()

    play(desk, scene)


def test_cancel_of_an_order_that_is_gone_is_as_good_as_done(desk: Desk) -> None:
    async def scene(gateway: Gateway) -> None:
        answer = await gateway.act(call(CallKind.CANCEL, desk.contract, order=OrderId(404)))
        assert (answer.outcome, answer.code) == (Outcome.CONFIRMED, 2)

    play(desk, scene)


def test_contract_record_is_read_and_an_unknown_one_is_a_definite_no(desk: Desk) -> None:
    async def scene(gateway: Gateway) -> None:
        record = await gateway.contract(desk.contract)
        assert (record.root, str(record.tick_size), record.tick_value) == ("MNQ", "0.25", 5_000)
        with pytest.raises(NotKnown):
            await gateway.contract(UNHEARD_OF)
        found = await gateway.search_contracts("MNQ", live=False)
        assert [each.contract.id for each in found if each.contract.root == "MNQ"] == [desk.contract]

    play(desk, scene)


def test_newest_price_is_the_market_price(desk: Desk) -> None:
    async def scene(gateway: Gateway) -> None:
        assert await gateway.newest_price(desk.contract, live=False) == 19_000.0

    play(desk, scene)


def test_hubs_bring_the_events_of_guarded_accounts_only(desk: Desk) -> None:
    async def scene(gateway: Gateway) -> None:
        ears = Listener()
        hubs = await gateway.open_hubs(ears)
        await desk.trade(1)
        await hubs.guard(A)
        await desk.subscribed("GatewayUserTrade")
        await desk.trade(1)
        (fill,) = await ears.wait("fill")
        (position,) = await ears.wait("position")
        assert (fill.size, position.size) == (1, 2)
        await hubs.close()
        assert ears.all("lost") == []

    play(desk, scene)


def test_hubs_bring_the_prices_of_watched_contracts(desk: Desk) -> None:
    async def scene(gateway: Gateway) -> None:
        ears = Listener()
        hubs = await gateway.open_hubs(ears)
        await hubs.watch(desk.contract)
        await desk.subscribed("GatewayTrade")
        await desk.quote(19_001.0)
        while ears.all("price")[-1:] == [] or ears.all("price")[-1].last != 19_001.0:
            await ears.wait("price", len(ears.all("price")) + 1)
        await hubs.close()

    play(desk, scene)


def test_hub_that_is_cut_is_told_once_as_lost(desk: Desk) -> None:
    async def scene(gateway: Gateway) -> None:
        ears = Listener()
        hubs = await gateway.open_hubs(ears)
        await desk.lose_hubs()
        await ears.wait("lost")
        await hubs.close()
        assert len(ears.all("lost")) == 1
        with pytest.raises(NoAnswer):
            await hubs.guard(A)

    play(desk, scene)


def test_revoked_token_is_unauthorized_everywhere_until_the_next_login(desk: Desk) -> None:
    async def scene(gateway: Gateway) -> None:
        await desk.revoke()
        with pytest.raises(Unauthorized):
            await gateway.positions(A, Lane.REST)
        with pytest.raises(Unauthorized):
            await gateway.act(call(CallKind.CLOSE, desk.contract))
        with pytest.raises(Unauthorized):
            await gateway.open_hubs(Listener())
        await gateway.login()
        assert await gateway.positions(A, Lane.REST) == ()

    play(desk, scene)


# ---------------------------------------------------------------- ProjectX alone: what a wire can do


FAULTS = [
    ({"name": "http_500"}, "HTTP 500", NoAnswer),
    ({"name": "http_503"}, "HTTP 503", NoAnswer),
    ({"name": "http_429", "retry_after": 3}, "reads stand back for 3 s", RateLimited),
    ({"name": "drop"}, "no connection", NoAnswer),
    ({"name": "html"}, "no JSON", Malformed),
    ({"name": "bad_json"}, "no JSON", Malformed),
    ({"name": "delay", "seconds": 1.5}, "no answer within", NoAnswer),
]
IDS = [str(fault["name"]) for fault, _, _ in FAULTS]


@asynccontextmanager
async def logged_in(simulator: ThreadedSimulator) -> AsyncIterator[tuple[Gateway, ContractId]]:
    desk = OnSimulator(simulator)
    gateway = ProjectXGateway(settings_of(simulator.urls, timeout=0.6), CLOCK)
    await gateway.login()
    yield gateway, desk.contract
    simulator.control({"op": "fault", "name": "all", "on": False})
    await gateway.close()


@pytest.mark.parametrize(("fault", "text", "error"), FAULTS, ids=IDS)
def test_call_that_meets_a_fault_is_unknown_and_says_why(
    simulator: ThreadedSimulator, fault: dict[str, Any], text: str, error: type[Exception]
) -> None:
    async def whole() -> None:
        async with logged_in(simulator) as (gateway, contract):
            simulator.control({"op": "fault", "path": "Position/closeContract", "times": 1, **fault})
            answer = await gateway.act(call(CallKind.CLOSE, contract))
            assert (answer.outcome, answer.code) == (Outcome.UNKNOWN, None)
            assert text in answer.text

    asyncio.run(whole())


@pytest.mark.parametrize(("fault", "text", "error"), FAULTS, ids=IDS)
def test_read_that_meets_a_fault_raises_at_once_and_is_sent_once(
    simulator: ThreadedSimulator, fault: dict[str, Any], text: str, error: type[Exception]
) -> None:
    async def whole() -> None:
        async with logged_in(simulator) as (gateway, _):
            simulator.control({"op": "reset_calls"})
            simulator.control({"op": "fault", "path": "Position/searchOpen", "times": 1, **fault})
            with pytest.raises(error, match=text):
                await gateway.positions(A, Lane.REST)
            counted: Any = simulator.control({"op": "state"})["requests"]
            assert counted["Position/searchOpen"] == 1

    asyncio.run(whole())


def test_call_given_up_at_its_timeout_was_not_cancelled() -> None:
    """The request goes on after the wait for its answer has ended: the position is closed all the same."""

    async def whole(simulator: ThreadedSimulator) -> None:
        async with logged_in(simulator) as (gateway, contract):
            simulator.control(
                {"op": "position", "account": A, "contract": contract, "side": "buy", "size": 1, "price": 1}
            )
            simulator.control(
                {"op": "fault", "name": "delay", "path": "Position/closeContract", "times": 1, "seconds": 1.2}
            )
            answer = await gateway.act(call(CallKind.CLOSE, contract))
            assert answer.outcome is Outcome.UNKNOWN
            assert simulator.control({"op": "state"})["positions"]
            await asyncio.to_thread(wait_for, lambda: not simulator.control({"op": "state"})["positions"])

    with run_in_thread(Settings(rate_limit=None)) as own:
        asyncio.run(whole(own))


@pytest.mark.parametrize(
    ("code", "outcome"),
    [(5, Outcome.REFUSED), (6, Outcome.UNKNOWN), (8, Outcome.REFUSED), (2, Outcome.CONFIRMED)],
)
def test_code_of_a_refused_close_reaches_enforcement(
    simulator: ThreadedSimulator, code: int, outcome: Outcome
) -> None:
    async def whole() -> None:
        async with logged_in(simulator) as (gateway, contract):
            fault = {"op": "fault", "name": "refuse", "path": "Position/closeContract", "times": 1}
            simulator.control({**fault, "code": code, "message": "the words of the gateway"})
            answer = await gateway.act(call(CallKind.CLOSE, contract))
            assert (answer.outcome, answer.code) == (outcome, code)
            assert "the words of the gateway" in answer.text

    asyncio.run(whole())


def test_read_refused_by_the_gateway_carries_its_code(simulator: ThreadedSimulator) -> None:
    async def whole() -> None:
        async with logged_in(simulator) as (gateway, _):
            with pytest.raises(Refused) as refused:
                await gateway.positions(type(A)(9999), Lane.REST)
            assert refused.value.code == 1

    asyncio.run(whole())


def test_reads_stand_back_after_a_429_while_a_close_goes_out(simulator: ThreadedSimulator) -> None:
    async def whole() -> None:
        async with logged_in(simulator) as (gateway, contract):
            simulator.control(
                {
                    "op": "fault",
                    "name": "http_429",
                    "path": "Position/searchOpen",
                    "times": 1,
                    "retry_after": 1,
                }
            )
            with pytest.raises(RateLimited):
                await gateway.positions(A, Lane.REST)
            began = CLOCK.mono()
            read = asyncio.create_task(gateway.positions(A, Lane.REST))
            await asyncio.sleep(0)
            answer = await gateway.act(call(CallKind.CLOSE, contract))
            assert answer.sent_mono - began <= 0.010
            assert not read.done()
            await read
            assert CLOCK.mono() - began >= 0.9

    asyncio.run(whole())


@pytest.mark.parametrize("proxy", ["http://127.0.0.1:9", "socks5://127.0.0.1:9"])
def test_proxy_of_the_environment_is_not_asked_for_a_loopback_gateway(
    simulator: ThreadedSimulator, monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, proxy)
    monkeypatch.setenv("no_proxy", "example.org")
    monkeypatch.setenv("NO_PROXY", "example.org")

    async def whole() -> None:
        async with logged_in(simulator) as (gateway, _):
            hubs = await gateway.open_hubs(Listener())
            await hubs.close()

    asyncio.run(whole())
    assert os.environ["no_proxy"] == os.environ["NO_PROXY"] == "example.org,127.0.0.1"


def test_token_and_key_appear_in_no_error_and_no_representation(simulator: ThreadedSimulator) -> None:
    settings = settings_of(simulator.urls)
    assert settings.api_key not in repr(settings)
