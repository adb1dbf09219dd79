"""Acting calls: each goes out once, at once, and its answer goes back to whoever asked."""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict

from actors.address import Address
from actors.clock import Clock
from actors.connection.login import Authorised
from actors.connection.port import Answer, Gateway, GatewayError
from actors.logs import get_logger
from actors.messages import Call, Called, Outcome

REMEMBERED = 1_000
"""Answered calls whose repeat is recognised by its id."""
HELD_UP_S = 0.1
"""Seconds that reads stand back for calls at most: an account of which calls get no answer must be read."""


class Calls:
    """The loop side of `CallSender`. A 401 came as an answer, so nothing was done: log in and repeat once."""

    def __init__(
        self,
        gateway: Gateway,
        clock: Clock,
        authorised: Authorised,
    ) -> None:
        self._gateway = gateway
        self._clock = clock
        self._authorised = authorised
        self._under_way: dict[str, tuple[asyncio.Task[Answer], list[Address]]] = {}
        self._answered: OrderedDict[str, Called] = OrderedDict()
        self._ended_at = 0.0
        self._idle: asyncio.Future[None] | None = None
        self._log = get_logger("riskd.connection")

    @property
    def under_way(self) -> bool:
        """A call was sent and is not answered yet."""
        return bool(self._under_way)

    async def quiet(self, after: float) -> None:
        """Wait, for a moment at most, until no call is under way nor was within the last `after` seconds.

        A read beside a close takes the loop from it, and shows an account in the middle of a change.
        """
        if not self._under_way and self._ended_at + after <= asyncio.get_running_loop().time():
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(HELD_UP_S):
                await self._until_quiet(after)

    async def _until_quiet(self, after: float) -> None:
        loop = asyncio.get_running_loop()
        while self._under_way or self._ended_at + after > loop.time():
            if self._under_way:
                self._idle = self._idle if self._idle and not self._idle.done() else loop.create_future()
                await asyncio.shield(self._idle)
            else:
                await asyncio.sleep(self._ended_at + after - loop.time())

    def start(self, call: Call, reply_to: Address) -> None:
        """Send the call; a repeated id is not sent again but gets the answer of the first."""
        known = self._answered.get(call.id)
        if known is not None:
            reply_to.tell(known)
            return
        if call.id in self._under_way:
            _, asking = self._under_way[call.id]
            if reply_to not in asking:
                asking.append(reply_to)
            return
        task = asyncio.get_running_loop().create_task(self._send(call), name=f"call:{call.id}")
        # The dictionary holds the strong reference: a task nobody holds may be collected while it runs.
        self._under_way[call.id] = (task, [reply_to])
        task.add_done_callback(lambda done: self._done(call, done))

    async def drain(self, seconds: float) -> None:
        """Let the calls under way finish, for at most so long; none is cancelled before."""
        tasks = [task for task, _ in self._under_way.values()]
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)

    async def _send(self, call: Call) -> Answer:
        began_at, began = self._clock.wall(), self._clock.mono()
        try:
            return await self._authorised(lambda: self._gateway.act(call))
        except GatewayError as error:
            return Answer(Outcome.UNKNOWN, None, str(error), began_at, began, self._clock.mono())

    def _done(self, call: Call, task: asyncio.Task[Answer]) -> None:
        _, asking = self._under_way.pop(call.id)
        self._ended_at = asyncio.get_running_loop().time()
        if not self._under_way and self._idle is not None and not self._idle.done():
            self._idle.set_result(None)
        called = self._called(call, task)
        self._answered[call.id] = called
        if len(self._answered) > REMEMBERED:
            self._answered.popitem(last=False)
        for address in asking:
            address.tell(called)

    def _called(self, call: Call, task: asyncio.Task[Answer]) -> Called:
        now, mono = self._clock.wall(), self._clock.mono()
        if task.cancelled():
            return Called(call, Outcome.UNKNOWN, None, "ended while it was under way", now, mono, mono)
        error = task.exception()
        if error is not None:
            self._log.exception("gateway.call_failed_inside", error, call=call.id)
            text = f"failed inside: {type(error).__name__}"
            return Called(call, Outcome.UNKNOWN, None, text, now, mono, mono)
        answer = task.result()
        return Called(
            call,
            answer.outcome,
            answer.code,
            answer.text,
            answer.sent_at,
            answer.sent_mono,
            answer.done_mono,
            answer.order,
        )
