"""The REST front: faults, rate limit, token check and body, before an endpoint sees a request."""

import asyncio
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from functools import partial
from itertools import count

import msgspec
from aiohttp import web

from ops.simulator.faults import Switch
from ops.simulator.gateway import Gateway
from ops.simulator.limits import Window
from ops.simulator.requests import Close, PartialClose
from ops.simulator.rest import ENDPOINTS, Desk, Endpoint, Reply
from ops.simulator.shapes import Json

PING = "Status/ping"
BARS = "History/retrieveBars"
PROBLEM = "application/problem+json"
WEB_PAGE = "<!DOCTYPE html><html><body><h1>502 Bad Gateway</h1></body></html>"


class Call(msgspec.Struct, kw_only=True):
    """An acting REST call: when its body was complete, what it asked, how it was answered (None: not yet)."""

    seq: int
    path: str
    body: Json
    at: datetime
    at_mono: float
    status: int | None = None
    code: int | None = None
    order_id: int | None = None


class Front:
    """Answers REST requests, counts them all, and keeps the acting ones."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._general = Window(gateway.settings.rate_limit, 60.0)
        self._bars = Window(gateway.settings.bars_limit, 30.0)
        self.requests: Counter[str] = Counter()
        self.calls: list[Call] = []
        self._seq = count(1)

    async def ping(self, request: web.Request) -> web.StreamResponse:
        """The one GET, and the one request that needs no token."""
        self.requests[PING] += 1
        return await self._through_faults(request, PING, self._pong)

    def _pong(self) -> web.Response:
        return web.json_response("pong") if self._within_limits(PING) else _too_many(None)

    async def post(self, request: web.Request) -> web.StreamResponse:
        """One REST request, through the faults, the rate limit and the token check, to its endpoint."""
        path = request.match_info["path"]
        body = await request.read()
        at_mono, at = self._gateway.clock.mono(), self._gateway.clock.wall()
        endpoint = ENDPOINTS.get(path)
        if endpoint is None:
            return web.Response(status=404)
        self.requests[path] += 1
        call = self._kept(path, body, at, at_mono) if endpoint.acting else None
        answered = partial(self._answered, request, path, endpoint, body, call)
        response = await self._through_faults(request, path, answered)
        if call is not None:
            call.status = response.status
            self._gateway.bell.ring()
        return response

    async def _through_faults(
        self, request: web.Request, path: str, answered: Callable[[], web.Response]
    ) -> web.Response:
        switches = self._gateway.faults.request(path)
        for switch in switches:
            if switch.name == "delay" and not switch.executed:
                await asyncio.sleep(switch.seconds)
        spoilt = next((switch for switch in switches if switch.name != "delay"), None)
        if spoilt is not None and not spoilt.executed:
            return self._spoilt(request, spoilt)
        response = answered()
        for switch in switches:
            if switch.name == "delay" and switch.executed:
                await asyncio.sleep(switch.seconds)
        return response if spoilt is None else self._spoilt(request, spoilt)

    def _spoilt(self, request: web.Request, switch: Switch) -> web.Response:
        match switch.name:
            case "drop":
                if request.transport is not None:
                    request.transport.abort()
                return web.Response(status=500)
            case "html":
                return web.Response(text=WEB_PAGE, content_type="text/html")
            case "bad_json":
                return web.Response(text='{"success":true,"errorCode":0,', content_type="application/json")
            case "refuse":
                body = {"success": False, "errorCode": switch.code, "errorMessage": switch.message}
                return web.json_response(body)
            case "http_429":
                return _too_many(switch.retry_after)
            case name:
                return web.Response(status=int(name.removeprefix("http_")))

    def _answered(
        self, request: web.Request, path: str, endpoint: Endpoint, body: bytes, call: Call | None
    ) -> web.Response:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if not self._within_limits(path):
            return _too_many(None)
        if not endpoint.open and not self._gateway.authorised(token):
            return web.Response(status=401)
        try:
            asked = msgspec.json.decode(body or b"{}", type=endpoint.request)
        except (msgspec.ValidationError, msgspec.DecodeError) as error:
            problem = {
                "title": "One or more validation errors occurred.",
                "status": 400,
                "detail": str(error),
            }
            return web.json_response(problem, status=400, content_type=PROBLEM)
        reply = self._executed(path, endpoint, asked, token)
        if call is not None:
            call.code, call.order_id = int(reply.outcome.code), reply.outcome.order_id
        return web.Response(body=msgspec.json.encode(reply.body()), content_type="application/json")

    def _executed(self, path: str, endpoint: Endpoint, asked: object, token: str) -> Reply:
        desk = Desk(exchange=self._gateway.exchange, sessions=self._gateway.sessions, token=token)
        race = self._gateway.faults.broker("stop_race") if isinstance(asked, Close | PartialClose) else None
        if race is not None and race.when == "before":
            self._fire_stop(asked)
        reply = endpoint.answer(desk, self._gateway.clock.wall(), asked)
        self._gateway.tell(reply.outcome.changes)
        if race is not None and race.when == "after":
            self._fire_stop(asked)
        if path == BARS and reply.outcome.ok and self._gateway.faults.broker("bars_missing"):
            return Reply({"bars": []})
        return reply

    def _fire_stop(self, asked: object) -> None:
        if isinstance(asked, Close | PartialClose):
            now = self._gateway.clock.wall()
            fired = self._gateway.exchange.fire_stop(now, asked.account_id, asked.contract_id)
            self._gateway.tell(fired)

    def _within_limits(self, path: str) -> bool:
        """Every request counts for the general limit, retrieveBars for its own as well."""
        now = self._gateway.clock.mono()
        return self._general.take(now) and (path != BARS or self._bars.take(now))

    def _kept(self, path: str, body: bytes, at: datetime, at_mono: float) -> Call:
        try:
            asked = msgspec.json.decode(body)
        except msgspec.DecodeError:
            asked = {}
        call = Call(seq=next(self._seq), path=path, body=asked, at=at, at_mono=at_mono)
        self.calls.append(call)
        self._gateway.bell.ring()
        return call


def _too_many(retry_after: int | None) -> web.Response:
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return web.Response(status=429, headers=headers)
