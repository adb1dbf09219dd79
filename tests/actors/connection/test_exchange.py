"""One request: what of it is logged and counted, who is left alone, and what is sent too late to be sent."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from actors import logs
from actors.clock import ManualClock
from actors.connection import codes
from actors.connection.breaker import OPENS_AFTER, PROBE_AFTER
from actors.connection.budget import Lane, Limits
from actors.connection.exchange import Exchange, note_response
from actors.connection.lanes import Gate
from actors.connection.port import NoAnswer, RateLimited, Refused, Unavailable
from actors.connection.requests import Body
from actors.connection.traffic import MOST_SERIES, OTHER, Meter
from config.settings import Logging

FILLS, POSITIONS = "/Trade/search", "/Position/searchOpen"
SECRET = "key-that-nobody-may-see"


@pytest.fixture
def debugging(tmp_path: Path) -> Iterator[Path]:
    """The folder of a log that holds everything."""
    handlers, level = logging.root.handlers[:], logging.root.level
    logs._waiting.clear()
    logs.start(tmp_path, Logging(level="debug"), ManualClock(datetime(2026, 3, 4, 16, tzinfo=UTC)))
    yield tmp_path
    logs.stop()
    logs._waiting.clear()
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


class Broke(Exception):
    """What the wire raises."""


class Response:
    def __init__(self, status: int, retry_after: str | None = None) -> None:
        self.status_code = status
        self.headers = {} if retry_after is None else {"Retry-After": retry_after}


class Wire:
    """Answers as it is told: an answer, or a status with an error."""

    def __init__(self) -> None:
        self.clock = ManualClock(datetime(2026, 3, 4, 16, tzinfo=UTC))
        self.gate = Gate(Limits(), self.clock)
        self.exchange = Exchange(self.execute, self.gate, self.clock, 5.0, (Broke,))
        self.says: Callable[[], object] = lambda: {"success": True}
        self.status = 200
        self.retry_after: str | None = None
        self.sent = 0

    async def execute(self, endpoint: str, body: Body | None) -> object:
        self.sent += 1
        self.clock.advance(0.04)
        await note_response(Response(self.status, self.retry_after))
        return self.says()

    def fail(self, status: int) -> None:
        def broke() -> object:
            raise Broke

        self.status, self.says = status, broke

    def answer(self) -> None:
        self.status, self.says = 200, lambda: {"success": True}

    async def ask(self, endpoint: str = FILLS, lane: Lane = Lane.RECONCILE) -> object:
        return await self.exchange.ask(endpoint, {"apiKey": SECRET}, lane, codes.SEARCH)


async def broken(wire: Wire, endpoint: str = FILLS) -> None:
    wire.fail(500)
    for _ in range(OPENS_AFTER):
        with pytest.raises(NoAnswer):
            await wire.ask(endpoint)


def test_endpoint_that_keeps_failing_is_not_asked_but_for_a_probe_a_minute() -> None:
    async def play() -> None:
        wire = Wire()
        await broken(wire)
        with pytest.raises(Unavailable, match="Trade/search failed 5 times"):
            await wire.ask()
        assert wire.sent == OPENS_AFTER
        assert [each.endpoint for each in wire.exchange.traffic().broken] == ["Trade/search"]
        wire.clock.advance(PROBE_AFTER)
        wire.answer()
        await wire.ask()
        assert wire.exchange.traffic().broken == ()

    asyncio.run(play())


@pytest.mark.parametrize("lane", [Lane.PROTECTIVE, Lane.LOGIN, Lane.VERIFY])
def test_calls_logins_and_verifications_are_sent_all_the_same(lane: Lane) -> None:
    async def play() -> None:
        wire = Wire()
        await broken(wire)
        wire.answer()
        await wire.ask(lane=lane)
        assert wire.sent == OPENS_AFTER + 1

    asyncio.run(play())


def test_positions_are_always_asked_they_tell_whether_the_gateway_lives() -> None:
    async def play() -> None:
        wire = Wire()
        await broken(wire, POSITIONS)
        wire.answer()
        await wire.ask(POSITIONS)

    asyncio.run(play())


def test_a_refusal_is_an_answer() -> None:
    async def play() -> None:
        wire = Wire()
        wire.says = lambda: {"success": False, "errorCode": 1}
        for _ in range(OPENS_AFTER + 1):
            with pytest.raises(Refused):
                await wire.ask()
        assert wire.exchange.traffic().broken == ()

    asyncio.run(play())


def test_call_for_which_the_gateway_asked_to_wait_is_not_sent_late_but_said_to_be_unsent() -> None:
    async def play() -> None:
        wire = Wire()
        wire.fail(429)
        wire.retry_after = "20"
        with pytest.raises(RateLimited):
            await wire.exchange.send("/Position/closeContract", {}, Lane.PROTECTIVE, 0.0)
        with pytest.raises(RateLimited, match=r"not sent: too many requests, the next may go in 20\.0 s"):
            await wire.exchange.slot(Lane.PROTECTIVE)
        wire.clock.advance(20.0)
        assert await wire.exchange.slot(Lane.PROTECTIVE) == 0.0

    asyncio.run(play())


def test_each_request_leaves_one_line_and_one_sample_without_body_or_token(debugging: Path) -> None:
    async def play() -> Wire:
        wire = Wire()
        await wire.ask()
        wire.says = lambda: {"success": False, "errorCode": 1, "errorMessage": "no"}
        with pytest.raises(Refused):
            await wire.ask()
        wire.fail(503)
        with pytest.raises(NoAnswer):
            await wire.ask()
        return wire

    wire = asyncio.run(play())

    series = wire.exchange.traffic().series
    found = [(s.endpoint, s.lane, s.outcome, s.code, s.time.count) for s in series]
    assert found == [
        ("Trade/search", "reconcile", "answered", "200", 1),
        ("Trade/search", "reconcile", "refused", "1", 1),
        ("Trade/search", "reconcile", "Broke", "503", 1),
    ]
    assert [s.time.total_s for s in series] == pytest.approx([0.04] * 3)
    assert {s.wait.total_s for s in series} == {0.0}
    logs.flush()
    text = (debugging / "riskd.log").read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    assert [(line["event"], line["outcome"], line["status"], line["code"]) for line in lines] == [
        ("gateway.request", "answered", 200, None),
        ("gateway.request", "refused", 200, 1),
        ("gateway.request", "Broke", 503, None),
    ]
    assert {(line["endpoint"], line["lane"], line["wait_ms"], line["ms"]) for line in lines} == {
        ("Trade/search", "reconcile", 0.0, 40.0)
    }
    assert SECRET not in repr(series) + text


def test_series_are_bounded_whatever_codes_the_gateway_invents() -> None:
    meter = Meter()
    for code in range(2 * MOST_SERIES):
        meter.add("Trade/search", Lane.REST, "refused", code, 0.0, 0.0)
    series = meter.view()
    assert len(series) == MOST_SERIES + 1
    assert sum(each.time.count for each in series) == 2 * MOST_SERIES
    assert series[-1].code == OTHER
