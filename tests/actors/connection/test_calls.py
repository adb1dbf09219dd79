"""Calls and reads on one loop: reads stand back for calls, but not for long."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from actors.clock import ManualClock
from actors.connection.calls import HELD_UP_S, Calls
from actors.connection.port import Answer
from actors.messages import AccountId, Call, CallKind
from tests.actors.connection.fake_gateway import MNQ, FakeGateway
from tests.actors.connection.inbox import Inbox

CLOCK = ManualClock(datetime(2026, 3, 4, 16, tzinfo=UTC))
CLOSE = Call("1/1", AccountId(1001), CallKind.CLOSE, MNQ)


class Slow(FakeGateway):
    """Answers a call when it is let."""

    def __init__(self) -> None:
        super().__init__(CLOCK)
        self.let = asyncio.Event()

    async def act(self, call: Call) -> Answer:
        await self.let.wait()
        return await super().act(call)


async def as_it_is[T](request: Callable[[], Awaitable[T]]) -> T:
    return await request()


async def waited(calls: Calls) -> float:
    loop = asyncio.get_running_loop()
    began = loop.time()
    await calls.quiet(0.02)
    return loop.time() - began


def test_a_read_without_any_call_begins_at_once() -> None:
    async def play() -> float:
        return await waited(Calls(Slow(), CLOCK, as_it_is))

    assert asyncio.run(play()) < HELD_UP_S


def test_a_read_stands_back_until_the_call_was_answered() -> None:
    async def play() -> None:
        gateway, inbox = Slow(), Inbox()
        await gateway.login()
        calls = Calls(gateway, CLOCK, as_it_is)
        calls.start(CLOSE, inbox)
        reading = asyncio.create_task(calls.quiet(0.0))
        await asyncio.sleep(0)
        assert not reading.done()
        gateway.let.set()
        await reading
        assert len(inbox.messages) == 1
        assert await waited(calls) > 0

    asyncio.run(play())


def test_a_call_that_gets_no_answer_does_not_keep_the_account_from_being_read() -> None:
    async def play() -> float:
        gateway = Slow()
        await gateway.login()
        calls = Calls(gateway, CLOCK, as_it_is)
        calls.start(CLOSE, Inbox())
        seconds = await waited(calls)
        gateway.let.set()
        await calls.drain(1.0)
        return seconds

    assert HELD_UP_S <= asyncio.run(play()) < 20 * HELD_UP_S
