"""A simulator on a clock that stands still, and a bare client of its protocol."""

import asyncio
import importlib.util
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from ops.simulator.hubs import RECORD_END
from ops.simulator.server import RunningSimulator, serve
from ops.simulator.settings import Settings

START = datetime(2026, 9, 14, 14, 30, tzinfo=UTC)
MNQ = "CON.F.US.MNQ.U26"
LOGIN = {"userName": "demo-user", "apiKey": "demo-key-1234567890"}
#: Seconds within which anything that is awaited must have happened.
PATIENCE = 10.0


def _silence_sdk() -> None:
    """Gives every SDK module a handler before its import, or each installs one that writes to stdout."""
    found = importlib.util.find_spec("project_x_py")
    assert found is not None
    assert found.submodule_search_locations is not None
    root = Path(found.submodule_search_locations[0])
    for path in root.rglob("*.py"):
        name = ".".join(("project_x_py", *path.relative_to(root).with_suffix("").parts)).removesuffix(
            ".__init__"
        )
        logging.getLogger(name).addHandler(logging.NullHandler())
    for name in ("project_x_py", "pysignalr", "websockets", "httpx"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


_silence_sdk()


class HandClock:
    """A clock that moves only when told to."""

    def __init__(self, now: datetime = START) -> None:
        self.now = now
        self.seconds = 1000.0

    def wall(self) -> datetime:
        return self.now

    def mono(self) -> float:
        return self.seconds

    def pass_(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        self.seconds += seconds


class Listener:
    """A bare hub connection: what the wire carries, record by record."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self.ws = ws
        self._waiting: list[str] = []

    async def call(self, method: str, *arguments: object, **extra: object) -> None:
        record = {"type": 1, "target": method, "arguments": list(arguments), **extra}
        await self.ws.send_str(msgspec.json.encode(record).decode() + RECORD_END)

    async def raw(self) -> str:
        """The next record as text, pings left out; what ended the connection if it did."""
        while not self._waiting:
            message = await self.ws.receive(timeout=PATIENCE)
            if message.type is not aiohttp.WSMsgType.TEXT:
                return message.type.name
            records = [record for record in message.data.split(RECORD_END) if record]
            self._waiting += [record for record in records if record != '{"type":6}']
        return self._waiting.pop(0)

    async def event(self) -> tuple[str, list[Any]]:
        record = msgspec.json.decode(await self.raw())
        return record["target"], record["arguments"]

    async def events(self, count: int) -> list[tuple[str, list[Any]]]:
        return [await self.event() for _ in range(count)]

    async def silent(self) -> bool:
        """Whether nothing came before the answer to a question asked after it."""
        if self._waiting:
            return False
        await self.call("AreYouThere", invocationId="1")
        return bool(msgspec.json.decode(await self.raw()).get("type") == 3)


class World:
    """A running simulator and its clients, on one loop."""

    def __init__(self, simulator: RunningSimulator, clock: HandClock, http: aiohttp.ClientSession) -> None:
        self.simulator = simulator
        self.clock = clock
        self.http = http
        self.token = ""

    async def op(self, op: str, **fields: object) -> dict[str, Any]:
        return await self.simulator.control({"op": op, **fields})

    async def log_in(self) -> str:
        _, answer = await self.rest("Auth/loginKey", **LOGIN)
        self.token = answer["token"]
        return self.token

    async def rest(self, path: str, **body: object) -> tuple[int, Any]:
        """Status and body of a REST call; the body as text where it is not JSON."""
        url, headers = f"{self.simulator.urls.api_url}/{path}", {"Authorization": f"Bearer {self.token}"}
        async with self.http.post(url, json=body, headers=headers) as answer:
            is_json = "json" in answer.content_type
            text = await answer.text()
            return answer.status, msgspec.json.decode(text) if is_json and text else text

    async def code(self, path: str, **body: object) -> int:
        """The business error code of a REST call that was answered."""
        status, answer = await self.rest(path, **body)
        assert status == 200
        assert answer["success"] is (answer["errorCode"] == 0)
        return int(answer["errorCode"])

    async def negotiate(self, hub: str) -> tuple[int, Any]:
        url = f"{self.hub_url(hub)}/negotiate"
        async with self.http.post(url, params={"access_token": self.token}) as answer:
            return answer.status, await answer.json() if answer.status == 200 else None

    def hub_url(self, hub: str) -> str:
        urls = self.simulator.urls
        return urls.user_hub_url if hub == "user" else urls.market_hub_url

    async def open(self, hub: str, connection_id: str | None = None) -> aiohttp.ClientWebSocketResponse:
        params = {"access_token": self.token} | ({"id": connection_id} if connection_id else {})
        return await self.http.ws_connect(self.hub_url(hub), params=params, autoping=False)

    async def listen(self, hub: str, *subscriptions: tuple[str, object]) -> Listener:
        """A hub connection with its subscriptions made: `("Orders", 1001)`; None for no argument."""
        _, answer = await self.negotiate(hub)
        ws = await self.open(hub, answer["connectionId"])
        await ws.send_str('{"protocol":"json","version":1}' + RECORD_END)
        assert (await ws.receive(timeout=PATIENCE)).data == "{}" + RECORD_END
        listener = Listener(ws)
        for topic, key in subscriptions:
            await listener.call(f"Subscribe{topic}", *([] if key is None else [key]))
        return listener

    async def listen_user(self, account: int = 1001) -> Listener:
        topics = [("Accounts", None), *((topic, account) for topic in ("Orders", "Positions", "Trades"))]
        listener = await self.listen("user", *topics)
        assert await listener.silent()  # its answer comes after the subscriptions were made
        return listener

    async def listen_market(self, contract: str = MNQ) -> Listener:
        topics = [(topic, contract) for topic in ("ContractQuotes", "ContractTrades", "ContractMarketDepth")]
        listener = await self.listen("market", *topics)
        await self.op("wait", subscribers=1, topic="GatewayDepth")
        return listener


type Scene = Callable[[World], Awaitable[None]]


@pytest.fixture
def play() -> Callable[..., None]:
    """Plays a scene against a fresh simulator: `play(scene, fees=Decimal("0.36"))`."""

    def run(scene: Scene, clock: HandClock | None = None, **settings: Any) -> None:
        async def main() -> None:
            hands = clock or HandClock()
            simulator = await serve(Settings(**settings), hands)
            try:
                async with asyncio.timeout(4 * PATIENCE), aiohttp.ClientSession() as http:
                    world = World(simulator, hands, http)
                    await world.log_in()
                    await scene(world)
            finally:
                await simulator.stop()

        asyncio.run(main())

    return run
