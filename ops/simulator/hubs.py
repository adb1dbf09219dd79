"""The two SignalR hubs: negotiation, handshake, subscriptions, events out.

JSON protocol version 1, as ASP.NET Core speaks it: a connection id is good for one WebSocket (404
afterwards), subscriptions die with the connection, methods nobody knows are ignored, a ping goes out every
15 s, and frames are not compressed.
"""

import asyncio
import contextlib
import secrets
import socket
import struct
from collections.abc import Callable, Iterable
from itertools import count
from typing import Literal

import msgspec
from aiohttp import WSCloseCode, WSMsgType, web

from ops.simulator.bell import Bell
from ops.simulator.faults import Faults
from ops.simulator.shapes import Json, without_nulls

RECORD_END = "\x1e"
PING = '{"type":6}' + RECORD_END

#: Seconds that the end of a connection waits for the client's own close frame.
CLOSE_WITHIN = 1.0

type Hub = Literal["user", "market"]

#: What a subscription method listens to. User hub topics but accounts are per account id.
TOPICS = {
    "Accounts": "GatewayUserAccount",
    "Orders": "GatewayUserOrder",
    "Positions": "GatewayUserPosition",
    "Trades": "GatewayUserTrade",
    "ContractQuotes": "GatewayQuote",
    "ContractTrades": "GatewayTrade",
    "ContractMarketDepth": "GatewayDepth",
}


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One hub event: for whom (account id, contract id; None for all), and what.

    User events have an action and one object; market events the contract id and an object or a list.
    """

    hub: Hub
    target: str
    key: int | str | None
    data: Json | list[Json]
    action: int | None = None
    written: Callable[[float], None] | None = None


def invocation(target: str, arguments: object, **extra: object) -> str:
    record = {"type": 1, "target": target, "arguments": arguments, **extra}
    return msgspec.json.encode(record).decode() + RECORD_END


def encode(event: Event, *, bare: bool = False, nulls: bool = False) -> str:
    """An event as a record: user events in their wrapper and without nulls, unless a fault asks otherwise."""
    if event.hub == "market":
        return invocation(event.target, [event.key, event.data])
    assert isinstance(event.data, dict)
    data = event.data if nulls else without_nulls(event.data)
    return invocation(event.target, [data if bare else {"action": event.action, "data": data}])


class Connection:
    """One WebSocket of a client, what it subscribed to, and what waits to be written to it."""

    def __init__(self, number: int, hub: Hub, socket: web.WebSocketResponse, request: web.Request) -> None:
        self.number = number
        self.hub = hub
        self.socket = socket
        self.request = request
        self.frozen = False
        self.topics: set[tuple[str, int | str | None]] = set()
        self.outbox: asyncio.Queue[tuple[str, Callable[[float], None] | None]] = asyncio.Queue()

    def wants(self, event: Event) -> bool:
        return (event.target, None) in self.topics or (event.target, event.key) in self.topics

    def send(self, text: str, written: Callable[[float], None] | None = None) -> None:
        self.outbox.put_nowait((text, written))

    def send_event(self, event: Event) -> None:
        self.send(encode(event), event.written)

    async def send_last(self, text: str) -> None:
        """Writes a record past whatever waits, then ends the WebSocket."""
        await self.socket.send_str(text)
        await self.close()

    async def write(self, mono: Callable[[], float]) -> None:
        """Writes what waits, in order, until the connection ends; a frozen one forgets it."""
        while True:
            text, written = await self.outbox.get()
            stamp = mono()
            if not self.frozen:
                with contextlib.suppress(ConnectionError):
                    await self.socket.send_str(text)
            if written is not None:
                written(stamp)

    async def keep_alive(self, every: float) -> None:
        while True:
            await asyncio.sleep(every)
            self.send(PING)

    async def close(self) -> None:
        await self.socket.close(code=WSCloseCode.GOING_AWAY)

    def reset(self) -> None:
        """Cuts the TCP connection with a reset."""
        transport = self.request.transport
        if transport is None:
            return
        peer = transport.get_extra_info("socket")
        if peer is not None:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()


class Hubs:
    """Both hubs: their connections, and the events on the way to them."""

    def __init__(
        self,
        faults: Faults,
        authorised: Callable[[str], bool],
        mono: Callable[[], float],
        ping_every: float,
        subscribed: Callable[[Connection, str, int | str | None], None],
        bell: Bell,
    ) -> None:
        self._faults = faults
        self._authorised = authorised
        self._mono = mono
        self._ping_every = ping_every
        self._subscribed = subscribed
        self._bell = bell
        self._numbers = count(1)
        self._unused_ids: set[str] = set()
        self._held: list[Event] = []
        self.connections: list[Connection] = []

    def publish(self, events: Iterable[Event]) -> None:
        """Sends events to whoever subscribed, in order, through the faults that are on."""
        for event in events:
            names = {switch.name: switch for switch in self._faults.event(event.target)}
            held, self._held = self._held, []
            if "event_lost" not in names:
                if "event_reorder" in names:
                    self._held.append(event)
                elif late := names.get("event_late"):
                    asyncio.get_running_loop().call_later(late.seconds, self._send, event, frozenset(names))
                else:
                    self._send(event, frozenset(names))
            for earlier in held:
                self._send(earlier, frozenset())

    def flush(self) -> None:
        """Sends what a reordering still holds back."""
        held, self._held = self._held, []
        for event in held:
            self._send(event, frozenset())

    def _send(self, event: Event, faults: frozenset[str]) -> None:
        text = encode(event, bare="event_bare" in faults, nulls="event_nulls" in faults)
        for connection in self.connections:
            if connection.wants(event):
                connection.send(text, event.written)
                if "event_duplicate" in faults:
                    connection.send(text)

    def of(self, hub: str) -> list[Connection]:
        return [connection for connection in self.connections if hub in (connection.hub, "both")]

    def send_raw(self, hub: str, text: str) -> int:
        """Writes a record to every connection of a hub, subscribed or not; how many there were."""
        connections = self.of(hub)
        for connection in connections:
            connection.send(text)
        return len(connections)

    def beside(self, account_id: int) -> list[Connection]:
        """The market connections of whoever listens to the trades of an account: those with its token."""
        topic = ("GatewayUserTrade", account_id)
        tokens = {_token(connection.request) for connection in self.connections if topic in connection.topics}
        return [one for one in self.of("market") if _token(one.request) in tokens]

    def cut(self) -> None:
        """Resets every connection."""
        for connection in list(self.connections):
            connection.reset()

    async def negotiate(self, request: web.Request) -> web.StreamResponse:
        fault = self._faults.negotiate(request.match_info["hub"])
        if fault is not None and fault.name == "negotiate_drop":
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=503)
        if fault is not None:
            return web.Response(status=401 if fault.name == "negotiate_401" else 503)
        if not self._authorised(_token(request)):
            return web.Response(status=401)
        connection_id = secrets.token_urlsafe(16)
        self._unused_ids.add(connection_id)
        transport = {"transport": "WebSockets", "transferFormats": ["Text", "Binary"]}
        answer = {"negotiateVersion": 0, "connectionId": connection_id, "availableTransports": [transport]}
        return web.json_response(answer)

    async def connect(self, request: web.Request) -> web.StreamResponse:
        hub: Hub = "user" if request.match_info["hub"] == "user" else "market"
        connection_id = request.query.get("id")
        if connection_id is not None and connection_id not in self._unused_ids:
            return web.Response(status=404, text="No Connection with that ID")
        if not self._authorised(_token(request)):
            return web.Response(status=401)
        self._unused_ids.discard(connection_id or "")
        ws = web.WebSocketResponse(compress=False, autoping=False, max_msg_size=0, timeout=CLOSE_WITHIN)
        await ws.prepare(request)
        connection = Connection(next(self._numbers), hub, ws, request)
        if await _handshake(ws):
            await self._serve(connection)
        return ws

    async def _serve(self, connection: Connection) -> None:
        self.connections.append(connection)
        self._bell.ring()
        tasks = [
            asyncio.create_task(connection.write(self._mono)),
            asyncio.create_task(connection.keep_alive(self._ping_every)),
        ]
        try:
            async for message in connection.socket:
                if connection.frozen:
                    continue
                if message.type is WSMsgType.PING:
                    await connection.socket.pong(message.data)
                elif message.type is WSMsgType.TEXT:
                    self._received(connection, message.data)
        except (ConnectionError, msgspec.DecodeError):
            pass  # the client is gone, or says what is not SignalR: either way this is the end of it
        finally:
            self.connections.remove(connection)
            for task in tasks:
                task.cancel()

    def _received(self, connection: Connection, text: str) -> None:
        for record in filter(None, text.split(RECORD_END)):
            message = msgspec.json.decode(record)
            if isinstance(message, dict) and message.get("type") == 1 and "target" in message:
                known = self._invoked(connection, str(message["target"]), message.get("arguments") or [])
                if "invocationId" in message:
                    connection.send(_completion(message["invocationId"], known))

    def _invoked(self, connection: Connection, method: str, arguments: list[int | str]) -> bool:
        """Subscribes or unsubscribes; any other method (clients call `Heartbeat`) is ignored.

        Returns whether the hub has such a method, for a client that asks for a completion.
        """
        verb, topic = ("Unsubscribe", method[11:]) if method.startswith("Un") else ("Subscribe", method[9:])
        target = TOPICS.get(topic)
        hub = "market" if topic.startswith("Contract") else "user"
        if target is None or method != verb + topic or hub != connection.hub:
            return False
        key = arguments[0] if arguments and topic != "Accounts" else None
        if verb == "Unsubscribe":
            connection.topics.discard((target, key))
        elif topic == "Accounts" or key is not None:
            connection.topics.add((target, key))
            self._subscribed(connection, target, key)
            self._bell.ring()
        return True


def _completion(invocation_id: object, known: bool) -> str:
    failure = {} if known else {"error": "Method does not exist."}
    return msgspec.json.encode({"type": 3, "invocationId": invocation_id, **failure}).decode() + RECORD_END


def _token(request: web.Request) -> str:
    return request.query.get("access_token") or request.headers.get("Authorization", "").removeprefix(
        "Bearer "
    )


async def _handshake(ws: web.WebSocketResponse) -> bool:
    """The first record names the protocol; only JSON is spoken here."""
    message = await ws.receive()
    if message.type is not WSMsgType.TEXT:
        return False
    asked = msgspec.json.decode(message.data.split(RECORD_END)[0])
    if asked.get("protocol") != "json":
        await ws.send_str(
            msgspec.json.encode({"error": "The protocol is not supported."}).decode() + RECORD_END
        )
        return False
    await ws.send_str("{}" + RECORD_END)
    return True
