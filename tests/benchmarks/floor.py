"""The floor of the latency benchmark: the least that reacts to a fill with a close, in a process of its own.

    floor.py ACCOUNT_ID CONTRACT API_URL USER_HUB MARKET_HUB callback|hub

`callback`: the SDK's own realtime client, `add_callback` -> task -> the SDK's request method (M0).
`hub`: the SDK's hub connection with one handler, as the product uses it, then the same call.
Prints one line when it is subscribed; ends when its standard input closes.
"""

from __future__ import annotations

import asyncio
import sys

from actors.connection.quiet import silence

silence()

from project_x_py import ProjectX, ProjectXConfig  # noqa: E402 - only after its loggers are silenced
from project_x_py.realtime import ProjectXRealtimeClient  # noqa: E402
from project_x_py.realtime.async_hub import AsyncHubConnection  # noqa: E402


async def main(account: int, contract: str, api: str, user: str, market: str, kind: str) -> None:
    config = ProjectXConfig(
        api_url=api, user_hub_url=user, market_hub_url=market, timeout_seconds=5, requests_per_minute=10**9
    )
    async with ProjectX("demo-user", "demo-key-1234567890", config) as client:
        await client.authenticate()
        # The limiter sorts its window on every call; a short one keeps its cost out of the ratio.
        client.rate_limiter.window_seconds = 1
        tasks = set[asyncio.Task[object]]()
        body = {"accountId": account, "contractId": contract}

        def react(*events: object) -> None:
            data = events[0]
            if isinstance(data, dict) and "data" in data:
                data = data["data"]
            if not isinstance(data, dict) or data.get("profitAndLoss") is not None:
                return  # the close's own fill
            task = asyncio.get_running_loop().create_task(
                client._make_request("POST", "/Position/closeContract", data=body)
            )
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        await subscribe(client, account, (user, market), contract, kind, react)
        print("ready", flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


async def subscribe(client, account, urls, contract, kind, react) -> None:
    """The same streams as the guard's: the account's events, the contract's quotes and trades."""
    if kind == "callback":
        realtime = ProjectXRealtimeClient(client.session_token, str(account), *urls)
        realtime.stale_feed_seconds = float("inf")
        realtime.heartbeat_interval = 1e9
        await realtime.add_callback("trade_execution", react)
        await realtime.connect()
        await realtime.subscribe_user_updates()
        subscribe.kept, market = realtime, realtime.market_connection
    else:
        user = await opened(urls[0], client.session_token, {"GatewayUserTrade": react})
        for kind in ("Orders", "Positions", "Trades"):
            await user.send(f"Subscribe{kind}", [account])
        ignored = dict.fromkeys(("GatewayQuote", "GatewayTrade"), ignore)
        market = await opened(urls[1], client.session_token, ignored)
        subscribe.kept = user, market
    for kind in ("Quotes", "Trades"):
        await market.send(f"SubscribeContract{kind}", [contract])


async def opened(url, token, handlers):
    hub = AsyncHubConnection(f"{url}?access_token={token}", hub_name=url.rpartition("/")[2])
    is_open = asyncio.Event()
    for event, handler in handlers.items():
        hub.on(event, handler)
    hub.on_open(is_open.set)
    await hub.start()
    await asyncio.wait_for(is_open.wait(), 10)
    return hub


def ignore(*event: object) -> None:
    """A quote that nobody waits for."""


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), *sys.argv[2:]))
