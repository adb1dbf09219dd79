"""The unmodified SDK against the simulator: what the daemon will do, done with the same library."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

MNQ = "CON.F.US.MNQ.U26"


@contextlib.asynccontextmanager
async def client(world, api_key="demo-key-1234567890") -> AsyncIterator:
    from project_x_py import ProjectX
    from project_x_py.config import ProjectXConfig

    urls = world.simulator.urls
    config = ProjectXConfig(
        api_url=urls.api_url,
        user_hub_url=urls.user_hub_url,
        market_hub_url=urls.market_hub_url,
        requests_per_minute=100_000,
        timeout_seconds=5,
    )
    async with ProjectX("demo-user", api_key, config=config) as gateway:
        yield gateway


@contextlib.asynccontextmanager
async def hub(world, name, targets) -> AsyncIterator:
    """The SDK's hub connection with a queue of what its handlers were called with."""
    from project_x_py.realtime.async_hub import AsyncHubConnection

    heard: asyncio.Queue = asyncio.Queue()
    connection = AsyncHubConnection(f"{world.hub_url(name)}?access_token={world.token}", name)
    for target in targets:
        connection.on(target, lambda *arguments, target=target: heard.put_nowait((target, arguments)))
    await connection.start()
    try:
        yield connection, heard
    finally:
        await connection.stop()


USER = ("GatewayUserAccount", "GatewayUserPosition", "GatewayUserOrder", "GatewayUserTrade")


def test_log_in_list_accounts_and_ping(play):
    async def scene(world):
        async with client(world) as gateway:
            await gateway.authenticate()
            assert [account.name for account in await gateway.list_accounts()] == [
                "PRAC-V2-1001",
                "PRAC-V2-1002",
            ]
            assert (gateway.token_expiry - world.clock.wall()).total_seconds() == 24 * 3600
            assert await gateway.ping() == "pong"

    play(scene)


def test_wrong_key_is_an_authentication_error(play):
    async def scene(world):
        from project_x_py.exceptions import ProjectXAuthenticationError

        async with client(world, api_key="wrong-key-000") as gateway:
            with pytest.raises(ProjectXAuthenticationError):
                await gateway.authenticate()

    play(scene)


def test_positions_trades_orders_and_contracts_are_read(play):
    async def scene(world):
        from project_x_py.event_bus import EventBus
        from project_x_py.order_manager import OrderManager

        await world.op("price", contract="MNQ", price=21000)
        bracket = {"stop_loss_ticks": 40, "take_profit_ticks": 80}
        await world.op("order", account=1001, contract="MNQ", side="sell", size=2, bracket=bracket)
        await world.op("close", account=1001, contract="MNQ", size=1)
        async with client(world) as gateway:
            await gateway.authenticate()
            (position,) = await gateway.search_open_positions(account_id=1001)
            assert (position.type, position.size, position.averagePrice) == (2, 1, 21000)
            trades = await gateway.search_trades(
                start_date=world.clock.wall().replace(hour=0), end_date=world.clock.wall(), account_id=1001
            )
            assert [trade.profitAndLoss for trade in trades] == [0, None]
            instrument = await gateway.get_instrument("MNQ")
            assert (instrument.id, instrument.tickSize, instrument.tickValue) == (MNQ, 0.25, 0.5)
            orders = OrderManager(gateway, EventBus())
            assert {order.status for order in await orders.query_orders()} == {1, 2}
            assert [order.type for order in await orders.search_open_orders()] == [4, 1]

    play(scene)


def test_orders_are_placed_modified_cancelled_and_positions_closed(play):
    async def scene(world):
        from project_x_py.event_bus import EventBus
        from project_x_py.order_manager import OrderManager
        from project_x_py.position_manager import PositionManager

        await world.op("price", contract="MNQ", price=21000)
        async with client(world) as gateway:
            await gateway.authenticate()
            orders, positions = OrderManager(gateway, EventBus()), PositionManager(gateway, EventBus())
            assert (await orders.place_market_order(MNQ, 0, 3)).success
            stop = await orders.place_stop_order(MNQ, 1, 3, 20990.0)
            assert await orders.modify_order(stop.orderId, stop_price=20980.0)
            assert await orders.cancel_order(stop.orderId)
            assert (await positions.partially_close_position(MNQ, 1))["success"]
            assert (await positions.close_position_direct(MNQ))["success"]
            assert (await positions.close_position_direct(MNQ))["errorCode"] == 2
        calls = (await world.op("calls"))["calls"]
        assert [(call["path"], call["code"]) for call in calls] == [
            ("Order/place", 0),
            ("Order/place", 0),
            ("Order/modify", 0),
            ("Order/cancel", 0),
            ("Position/partialCloseContract", 0),
            ("Position/closeContract", 0),
            ("Position/closeContract", 2),
        ]

    play(scene)


def test_both_hubs_deliver_their_events_in_order(play):
    async def scene(world):
        async with (
            hub(world, "user", USER) as (user, told),
            hub(world, "market", ("GatewayQuote",)) as (market, quoted),
        ):
            await user.send("SubscribeAccounts", [])
            for topic in ("Orders", "Positions", "Trades"):
                await user.send(f"Subscribe{topic}", [1001])
            await market.send("SubscribeContractQuotes", [MNQ])
            await world.op("wait", subscribers=1, topic="GatewayUserTrade")
            await world.op("wait", subscribers=1, topic="GatewayQuote")
            await world.op("price", contract="MNQ", price=21000)
            await world.op("order", account=1001, contract="MNQ", side="buy", size=1)
            events = [await told.get() for _ in range(5)]
            assert [target.removeprefix("GatewayUser") for target, _ in events] == [
                "Order",
                "Order",
                "Trade",
                "Position",
                "Account",
            ]
            _, (contract, quote) = await quoted.get()
            assert (contract, quote["lastPrice"]) == (MNQ, 21000)

    play(scene)


def test_realtime_client_connects_both_hubs_and_subscribes(play):
    async def scene(world):
        from project_x_py.realtime import ProjectXRealtimeClient

        urls = world.simulator.urls
        realtime = ProjectXRealtimeClient(
            world.token, "1001", user_hub_url=urls.user_hub_url, market_hub_url=urls.market_hub_url
        )
        realtime.stale_feed_seconds = float("inf")
        positions: asyncio.Queue = asyncio.Queue()
        await realtime.add_callback("position_update", positions.put_nowait)
        try:
            assert await realtime.connect()
            assert await realtime.subscribe_user_updates()
            await world.op("wait", subscribers=1, topic="GatewayUserPosition")
            await world.op("position", account=1001, contract="MNQ", side="buy", size=2, price=21000)
            event = await positions.get()
            assert (event["action"], event["data"]["size"]) == (1, 2)
        finally:
            await realtime.cleanup()

    play(scene)


def test_revoked_token_is_an_authentication_error_until_the_next_login(play):
    async def scene(world):
        from project_x_py.exceptions import ProjectXAuthenticationError

        async with client(world) as gateway:
            await gateway.authenticate()
            gateway.token_expiry = gateway.token_expiry.replace(
                year=2100
            )  # the SDK reads the machine's clock
            await world.op("fault", name="revoke_tokens")
            with pytest.raises(ProjectXAuthenticationError):
                await gateway.search_open_positions(account_id=1001)
            await gateway.authenticate()
            assert await gateway.search_open_positions(account_id=1001) == []

    play(scene)


def test_close_over_the_rate_limit_has_an_uncertain_outcome(play):
    async def scene(world):
        from project_x_py.event_bus import EventBus
        from project_x_py.position_manager import PositionManager

        async with client(world) as gateway:
            await gateway.authenticate()
            await world.op("fault", name="http_429", path="Position/*", retry_after=2)
            result = await PositionManager(gateway, EventBus()).close_position_direct(MNQ)
            assert result == {"success": False, "error": "Operation failed"}

    play(scene)


def test_hub_that_is_told_of_an_error_dies_without_a_word(play):
    async def scene(world):
        async with hub(world, "user", USER) as (user, _):
            await user.send("SubscribePositions", [1001])
            await world.op("wait", subscribers=1)
            task = next(task for task in asyncio.all_tasks() if task.get_name() == "hub:user")
            await world.op("fault", name="hub_close_error")
            await asyncio.wait({task}, timeout=5)
            assert task.done()
            task.exception()

    play(scene)
