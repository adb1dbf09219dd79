"""What a bare SDK client costs, in a process of its own: the peers of the lines about scale.

    peers.py API_URL USER_HUB MARKET_HUB clients COUNT           logged in so many times, nothing else
    peers.py ... gather ACCOUNT_ID CONTRACT...                   a fill closes all of these in one gather
    peers.py ... count ACCOUNT_ID                                counts order events; answers when N were seen

Prints `ready`; ends when its standard input closes.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Peer:
    process: subprocess.Popen[bytes]

    def counted(self, events: int) -> None:
        """Returns when the peer has seen so many events since it was last asked."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(b"%d\n" % events)
        self.process.stdin.flush()
        if self.process.stdout.readline().strip() != b"done":
            raise RuntimeError("the peer ended before it had seen all events")


@contextmanager
def peer(gateway: object, *arguments: str) -> Iterator[Peer]:
    """A peer on this gateway, ready, ended with the block."""
    urls = gateway.urls  # type: ignore[attr-defined]
    process = subprocess.Popen(
        [
            *(sys.executable, str(Path(__file__).resolve())),
            *(urls.api_url, urls.user_hub_url, urls.market_hub_url, *arguments),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        if process.stdout.readline().strip() != b"ready":
            raise RuntimeError(f"the peer {arguments[0]} did not start")
        yield Peer(process)
    finally:
        process.stdin.close()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


async def main(api: str, user: str, market: str, kind: str, *rest: str) -> None:
    if kind == "clients":
        kept = [await logged_in(api, user, market) for _ in range(int(rest[0]))]
        await told()
        for client in kept:
            await client.__aexit__(None, None, None)
        return
    client = await logged_in(api, user, market)
    realtime = ProjectXRealtimeClient(client.session_token, rest[0], user, market)
    realtime.stale_feed_seconds = float("inf")
    realtime.heartbeat_interval = 1e9
    seen = Seen(client, int(rest[0]), rest[1:])
    await realtime.add_callback(
        "trade_execution" if kind == "gather" else "order_update",
        seen.filled if kind == "gather" else seen.ordered,
    )
    await realtime.connect()
    await realtime.subscribe_user_updates()
    await told(seen)
    await realtime.disconnect()
    await client.__aexit__(None, None, None)


async def logged_in(api: str, user: str, market: str) -> ProjectX:
    config = ProjectXConfig(
        api_url=api, user_hub_url=user, market_hub_url=market, timeout_seconds=5, requests_per_minute=10**9
    )
    client = await ProjectX("demo-user", "demo-key-1234567890", config).__aenter__()
    await client.authenticate()
    client.rate_limiter.window_seconds = 1
    return client


class Seen:
    """What the callbacks were told."""

    def __init__(self, client: ProjectX, account: int, contracts: tuple[str, ...]) -> None:
        self._client, self._account, self._contracts = client, account, contracts
        self.orders, self.more = 0, asyncio.Event()
        self._tasks = set[asyncio.Task[object]]()

    def ordered(self, *_: object) -> None:
        self.orders += 1
        self.more.set()

    def filled(self, *events: object) -> None:
        data = events[0]
        if isinstance(data, dict) and "data" in data:
            data = data["data"]
        if not isinstance(data, dict) or data.get("profitAndLoss") is not None:
            return
        if data.get("contractId") == self._contracts[-1]:
            task = asyncio.get_running_loop().create_task(self._close_all())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _close_all(self) -> object:
        bodies = [{"accountId": self._account, "contractId": one} for one in self._contracts]
        path = "/Position/closeContract"
        return await asyncio.gather(*(self._client._make_request("POST", path, data=b) for b in bodies))


async def told(seen: Seen | None = None) -> None:
    """Says `ready`, then answers each count asked for, until standard input closes."""
    print("ready", flush=True)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        assert seen is not None
        while seen.orders < int(line):
            seen.more.clear()
            await asyncio.wait_for(seen.more.wait(), 60)
        seen.orders -= int(line)
        print("done", flush=True)


if __name__ == "__main__":
    from actors.connection.quiet import silence

    silence()
    from project_x_py import ProjectX, ProjectXConfig
    from project_x_py.realtime import ProjectXRealtimeClient

    asyncio.run(main(*sys.argv[1:]))
