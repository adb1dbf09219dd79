"""One request and what came of it: its slot, its time limit, its log line, its sample, its meaning.

The HTTP status and Retry-After, which the SDK's errors hide, are read by a response hook of httpx into
the exchange that the calling task carries in its context.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Protocol

from actors.clock import Clock
from actors.connection import codes, requests
from actors.connection.breaker import LEFT_ALONE, Breaker
from actors.connection.budget import Lane
from actors.connection.lanes import Gate, NoSlot
from actors.connection.port import NoAnswer, RateLimited, Refused, Unauthorized, Unavailable
from actors.connection.requests import Body
from actors.connection.traffic import Meter, Traffic
from actors.connection.translate import Malformed
from actors.logs import get_logger

PATIENCE = 1.5
"""Seconds an acting call waits for its slot at most. Whoever asked counts it as ended `request_timeout`
+ 2 s after handing it over; sent later than that, it could act beside the next one."""
ALWAYS_ASKED = frozenset({"/Position/searchOpen", "/Account/search"})
"""How it is known that the gateway is there at all: no breaker."""


class Response(Protocol):
    """What is needed of an HTTP response."""

    @property
    def status_code(self) -> int: ...

    @property
    def headers(self) -> Mapping[str, str]: ...


@dataclass(slots=True)
class Seen:
    """What the response hook saw of one request."""

    status: int | None = None
    retry_after: str | None = None


_seen: ContextVar[Seen | None] = ContextVar("riskd_exchange", default=None)


async def note_response(response: Response) -> None:
    """The hook: called with every response, in the context of the task that asked."""
    seen = _seen.get()
    if seen is not None:
        seen.status = response.status_code
        seen.retry_after = response.headers.get("Retry-After")


class Execute(Protocol):
    """Sends one POST once and returns the decoded answer."""

    def __call__(self, endpoint: str, body: Body | None) -> Awaitable[object]: ...


class Exchange:
    """All requests of one gateway. `errors` is what `execute` raises where there is no answer."""

    def __init__(
        self,
        execute: Execute,
        gate: Gate,
        clock: Clock,
        timeout: float,
        errors: tuple[type[Exception], ...],
    ) -> None:
        self._execute = execute
        self._gate = gate
        self._clock = clock
        self._timeout = timeout
        self._errors = errors
        self._meter = Meter()
        self._breakers: dict[str, Breaker] = {}
        self._log = get_logger("riskd.connection")

    def traffic(self) -> Traffic:
        now = self._clock.mono()
        broken = (breaker.view(now) for breaker in self._breakers.values())
        return Traffic(self._meter.view(), tuple(each for each in broken if each is not None))

    async def ask(
        self,
        endpoint: str,
        body: Body | None,
        lane: Lane,
        table: dict[int, codes.Code],
        *,
        bars: bool = False,
    ) -> Mapping[str, object]:
        """One read, in its lane; raises Refused with the code where the gateway says no."""
        breaker = self._breaker(endpoint, lane)
        waited = await self._gate.enter(lane, bars=bars)
        try:
            answer = await self.send(endpoint, body, lane, waited)
        except (NoAnswer, Malformed):
            if breaker is not None:
                breaker.failed(self._clock.mono())
            raise
        if breaker is not None:
            breaker.answered_at(self._clock.mono())
        if answer.get("success") is True:
            return answer
        entry, text = codes.failure(table, requests.code_of(answer), requests.said(answer))
        raise Refused(f"{endpoint[1:]} refused: {text} ({entry.name})", requests.code_of(answer))

    async def slot(self, lane: Lane) -> float:
        """Wait for the slot of an acting call, not for long; the seconds waited."""
        try:
            return await self._gate.enter(lane, patience=PATIENCE)
        except NoSlot as error:
            text = f"not sent: too many requests, the next may go in {error.wait_s:.1f} s"
            raise RateLimited(text, error.wait_s) from error

    def _breaker(self, endpoint: str, lane: Lane) -> Breaker | None:
        """Who hears how it went; raises Unavailable where the endpoint is left alone."""
        if endpoint in ALWAYS_ASKED or lane < Lane.VERIFY:
            return None
        breaker = self._breakers.setdefault(endpoint, Breaker(endpoint[1:]))
        if lane in LEFT_ALONE and not breaker.admits(self._clock.mono()):
            raise Unavailable(f"{endpoint[1:]} failed {breaker.failures} times and is left alone for a while")
        return breaker

    async def send(self, endpoint: str, body: Body | None, lane: Lane, waited: float) -> Mapping[str, object]:
        """Send one request once. At the timeout the waiting ends, the request itself is never cancelled."""
        seen = Seen()
        _seen.set(seen)
        began = self._clock.mono()
        outcome, code = "answered", None
        try:
            async with asyncio.timeout(self._timeout):
                answer = await self._execute(endpoint, body)
            outcome, code = _said(answer)
        except TimeoutError as error:
            outcome = "timeout"
            raise NoAnswer(f"no answer within {self._timeout:g} s") from error
        except self._errors as error:
            outcome = type(error).__name__
            raise self._failure(seen, lane, error) from error
        finally:
            taken = self._clock.mono() - began
            number = seen.status if code is None else code
            self._meter.add(endpoint[1:], lane, outcome, number, waited, taken)
            self._log.debug(
                "gateway.request",
                endpoint=endpoint[1:],
                lane=lane.name.lower(),
                wait_ms=round(waited * 1e3, 2),
                ms=round(taken * 1e3, 2),
                outcome=outcome,
                status=seen.status,
                code=code,
            )
        if not isinstance(answer, dict):
            raise Malformed(f"answer of {endpoint[1:]}", "no JSON object")
        return answer

    def _failure(self, seen: Seen, lane: Lane, error: Exception) -> Exception:
        match seen.status:
            case 401:
                return Unauthorized("HTTP 401: the token is not accepted")
            case 429:
                wait = self._gate.learn(lane, requests.retry_after(seen.retry_after))
                return RateLimited(f"HTTP 429: too many requests; reads stand back for {wait:g} s", wait)
            case None:
                cause = error.__cause__ or error
                return NoAnswer(f"no connection: {type(cause).__name__}")
            case status if status < 300:
                return Malformed("answer", f"HTTP {status} that is no JSON")
            case status if 400 <= status < 500:
                return Refused(f"HTTP {status}", None)
            case status:
                return NoAnswer(f"HTTP {status}")


def _said(answer: object) -> tuple[str, int | None]:
    """Whether the gateway did as asked, and the code it gave."""
    if not isinstance(answer, dict):
        return "odd", None
    code = requests.code_of(answer)
    return ("answered" if answer.get("success") is True else "refused"), code
