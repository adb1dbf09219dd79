"""The ProjectX gateway on the project-x-py SDK: the only module that imports it (and pysignalr).

Used of the SDK: its REST client, through the one-request method (`_execute_http_request`: private, so the
SDK is pinned and a canary test watches it), because the public methods lose error codes, sleep through a
429 and retry on their own; and its `AsyncHubConnection`, one pair per generation with our handlers only.
Its managers, event bus, realtime client and limiter are not used.

How one request is sent and what its answer means is `exchange`; here is what is asked.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import quote as url_quote

import httpx

from actors.clock import Clock
from actors.connection import codes, quiet, requests, translate
from actors.connection.budget import DEFAULT_LIMITS, BudgetView, Lane, Limits
from actors.connection.exchange import Exchange, note_response
from actors.connection.hubs import HubPair
from actors.connection.lanes import Gate
from actors.connection.port import (
    Answer,
    Ears,
    Hubs,
    LoginDenied,
    NoAnswer,
    NotKnown,
    RateLimited,
    Refused,
    Session,
    Unauthorized,
)
from actors.connection.requests import Body
from actors.connection.traffic import Traffic
from actors.connection.translate import Listed, Malformed, Unmeasurable
from actors.crash_points import crash_point
from actors.logs import adopt
from actors.messages import (
    AccountId,
    AccountReport,
    Call,
    CallKind,
    Contract,
    ContractId,
    Fill,
    Order,
    OrderId,
    Outcome,
    PositionReport,
)
from config.proxies import reach_directly

quiet.silence()

import pysignalr.client  # noqa: E402 - here, so that the first connect does not stall the loop for 0.3 s
from project_x_py import ProjectX, ProjectXConfig  # noqa: E402
from project_x_py.exceptions import ProjectXError  # noqa: E402
from project_x_py.realtime.async_hub import AsyncHubConnection  # noqa: E402
from pysignalr.exceptions import AuthorizationError  # noqa: E402
from websockets.exceptions import WebSocketException  # noqa: E402

adopt()

SDK_LIMITER_OFF = 1_000_000_000
"""The SDK's own limiter would make an enforcement call wait up to 60 s; `Gate` does its work."""

CONNECT = 5.0
"""Seconds until a connection must be open."""
GOODBYE = 1.0
"""Seconds a peer gets to answer the closing of a hub; a frozen one never does."""


@dataclass(frozen=True)
class ProjectXSettings:
    """Where and as whom; `request_timeout` in seconds."""

    api_url: str
    user_hub_url: str
    market_hub_url: str
    username: str
    api_key: str = field(repr=False)
    request_timeout: float = 5.0
    limits: Limits = DEFAULT_LIMITS


class ProjectXGateway:
    """`port.Gateway` on the SDK. Create and use it on the gateway loop only."""

    def __init__(self, settings: ProjectXSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._gate = Gate(settings.limits, clock)
        reach_directly((settings.api_url, settings.user_hub_url, settings.market_hub_url))
        self._client = ProjectX(
            username=settings.username,
            api_key=settings.api_key,
            config=ProjectXConfig(
                api_url=settings.api_url.rstrip("/"),
                user_hub_url=settings.user_hub_url,
                market_hub_url=settings.market_hub_url,
                requests_per_minute=SDK_LIMITER_OFF,
                timeout_seconds=math.ceil(settings.request_timeout) + 1,
            ),
        )
        # The SDK sorts its whole window on every request; one second keeps that list short.
        self._client.rate_limiter.window_seconds = 1
        self._hooked = False
        self._sessions = 0
        self._generations = 0
        errors = (ProjectXError, httpx.HTTPError, ValueError)
        self._exchange = Exchange(self._execute, self._gate, clock, settings.request_timeout, errors)

    # ------------------------------------------------------------ session

    async def login(self) -> Session:
        body = {"userName": self._settings.username, "apiKey": self._settings.api_key}
        try:
            answer = await self._exchange.ask("/Auth/loginKey", body, Lane.LOGIN, codes.LOGIN)
        except Unauthorized as error:
            raise LoginDenied("cannot log in: HTTP 401. Check user name and key.", None) from error
        except Refused as error:
            if codes.LOGIN.get(error.code or 0, codes.UNDOCUMENTED).meaning is codes.Meaning.PERMANENT:
                raise LoginDenied(f"cannot log in: {error}", error.code) from error
            raise
        return self._accept(requests.token_of(answer, "token"))

    async def renew(self) -> Session:
        try:
            answer = await self._exchange.ask("/Auth/validate", None, Lane.LOGIN, codes.VALIDATE)
        except (Unauthorized, Refused):
            return await self.login()
        return self._accept(requests.token_of(answer, "newToken"))

    def _accept(self, token: str) -> Session:
        self._client.session_token = token
        self._sessions += 1
        life = requests.token_life(token, self._clock.wall())
        return Session(self._sessions, life.total_seconds())

    async def accounts(self, lane: Lane) -> tuple[AccountReport, ...]:
        answer = await self._exchange.ask("/Account/search", {"onlyActiveAccounts": True}, lane, codes.SEARCH)
        return tuple(translate.account(row) for row in translate.rows_of(answer, "accounts"))

    # ------------------------------------------------------------ hubs

    async def open_hubs(self, ears: Ears) -> Hubs:
        self._generations += 1
        pair = HubPair(
            user=self._hub(self._settings.user_hub_url, "user"),
            market=self._hub(self._settings.market_hub_url, "market"),
            ears=ears,
            timeout=self._settings.request_timeout,
            denied=lambda error: isinstance(error, AuthorizationError),
        )
        try:
            crash_point("hubs.opening")
            await pair.open()
            crash_point("hubs.open")
        except BaseException:
            await pair.close()
            raise
        return pair

    def _hub(self, url: str, kind: str) -> _Hub:
        token = url_quote(self._client.session_token, safe="")
        return _Hub(f"{url}?access_token={token}", f"{kind}-{self._generations}", self._clock)

    # ------------------------------------------------------------ reads

    async def positions(self, account: AccountId, lane: Lane) -> tuple[PositionReport, ...]:
        answer = await self._exchange.ask("/Position/searchOpen", {"accountId": account}, lane, codes.SEARCH)
        return tuple(translate.position(row) for row in translate.rows_of(answer, "positions"))

    async def orders(self, account: AccountId, lane: Lane) -> tuple[Order, ...]:
        body = requests.open_orders(account)
        answer = await self._exchange.ask("/Order/v2/query", body, lane, codes.SEARCH)
        rows = tuple(translate.order(row) for row in translate.rows_of(answer, "orders"))
        if requests.more_than(answer, len(rows)):
            # Whether an offset counts rows or pages is not documented; the other search has no pages.
            return requests.merged(rows, await self.open_orders(account, lane))
        return rows

    async def open_orders(self, account: AccountId, lane: Lane) -> tuple[Order, ...]:
        answer = await self._exchange.ask("/Order/searchOpen", {"accountId": account}, lane, codes.SEARCH)
        return tuple(translate.order(row) for row in translate.rows_of(answer, "orders"))

    async def fills(self, account: AccountId, since: datetime, lane: Lane) -> tuple[Fill, ...]:
        body = {"accountId": account, "startTimestamp": requests.stamp(since)}
        answer = await self._exchange.ask("/Trade/search", body, lane, codes.SEARCH)
        return tuple(translate.fill(row) for row in translate.rows_of(answer, "trades"))

    async def contract(self, contract: ContractId) -> Contract:
        body = {"contractId": contract}
        try:
            answer = await self._exchange.ask("/Contract/searchById", body, Lane.RECONCILE, codes.CONTRACT)
        except Refused as error:
            if error.code == 1:
                raise NotKnown(f"the gateway does not know {contract}") from error
            raise
        try:
            return translate.contract(answer.get("contract"))
        except Unmeasurable as error:
            raise NotKnown(str(error)) from error

    async def search_contracts(self, text: str, live: bool) -> tuple[Listed, ...]:
        body = {"searchText": text, "live": live}
        answer = await self._exchange.ask("/Contract/search", body, Lane.REST, codes.SEARCH)
        return requests.listed(translate.rows_of(answer, "contracts"))

    async def newest_price(self, contract: ContractId, live: bool) -> float | None:
        body, lane = requests.newest_bar(contract, live, self._clock.wall()), Lane.RECONCILE
        answer = await self._exchange.ask("/History/retrieveBars", body, lane, codes.BARS, bars=True)
        return translate.newest_close(answer)

    # ------------------------------------------------------------ acting

    async def act(self, call: Call) -> Answer:
        endpoint, body = requests.of_call(call)
        lane = Lane.PROTECTIVE if call.protective else Lane.RECONCILE
        sent_at, sent = self._clock.wall(), self._clock.mono()
        order: OrderId | None = None
        code: int | None = None
        crash_point("call.sending")
        try:
            waited = await self._exchange.slot(lane)
            sent_at, sent = self._clock.wall(), self._clock.mono()
            answer = await self._exchange.send(endpoint, body, lane, waited)
        except (NoAnswer, RateLimited, Malformed, Refused) as error:
            outcome, text = Outcome.UNKNOWN, str(error)
        else:
            outcome, code, text = requests.outcome_of(call.kind, answer)
            order = requests.placed(answer) if call.kind is CallKind.PLACE else None
        crash_point("call.answered")
        return Answer(outcome, code, text, sent_at, sent, self._clock.mono(), order)

    # ------------------------------------------------------------ one request

    async def _execute(self, endpoint: str, body: Body | None) -> object:
        if not self._hooked:
            await self._hook()
        crash_point("request.sending")
        # retry_count 1: no token refresh and no second attempt inside the SDK
        answer = await self._client._execute_http_request("POST", endpoint, data=body, retry_count=1)
        crash_point("request.answered")
        return answer

    async def _hook(self) -> None:
        # The SDK's own client asks the environment for proxies, and fails on one it has no library for.
        timeout = httpx.Timeout(self._client.config.timeout_seconds, connect=CONNECT, pool=CONNECT)
        self._client._client = httpx.AsyncClient(
            timeout=timeout,
            limits=httpx.Limits(max_connections=200, max_keepalive_connections=50, keepalive_expiry=60.0),
            http2=True,
            trust_env=False,
            verify=httpx.create_ssl_context(),
            event_hooks={"request": [], "response": [note_response]},
            headers={"Accept": "application/json"},
        )
        self._hooked = True

    async def ready(self, lane: Lane, requests: int) -> None:
        await self._gate.ready(lane, requests)

    def budget(self) -> BudgetView:
        return self._gate.view()

    def traffic(self) -> Traffic:
        return self._exchange.traffic()

    async def close(self) -> None:
        self._gate.close()
        await self._client.__aexit__(None, None, None)


# ---------------------------------------------------------------- hubs


class _Hub(AsyncHubConnection):  # type: ignore[misc]  # the SDK is not type-checked here
    """One SDK hub that notes when its socket was last heard of: only frames, pings among them, tell a
    silent peer from a quiet account."""

    def __init__(self, url: str, name: str, clock: Clock) -> None:
        super().__init__(url, hub_name=name)
        self.heard = clock.mono()
        self._mono = clock.mono

    def _ensure_client(self) -> pysignalr.client.SignalRClient:
        fresh = self._client is None
        client = super()._ensure_client()
        if fresh:
            decode = client._protocol.decode

            def stamped(raw: str | bytes) -> object:
                self.heard = self._mono()
                return decode(raw)

            client._protocol.decode = stamped
        return client

    async def stop(self) -> None:
        """Stop, and close the socket now: the SDK leaves that to the garbage collector."""
        client = self._client
        await super().stop()
        socket = None if client is None else client._transport._ws
        if socket is not None:
            with contextlib.suppress(TimeoutError, WebSocketException, OSError):
                async with asyncio.timeout(GOODBYE):
                    await socket.close()
