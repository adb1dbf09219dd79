"""Acting calls: each goes out once, at once, and its answer goes back to whoever asked."""

from __future__ import annotations

import asyncio
from collections import OrderedDict

from actors.address import Address
from actors.clock import Clock
from actors.connection.login import Authorised
from actors.connection.port import Answer, Gateway, GatewayError
from actors.logs import get_logger
from actors.messages import Call, Called, Outcome

REMEMBERED = 1_000
"""Answered calls whose repeat is recognised by its id."""
QUIET_S = 0.02
"""Seconds without a call after which reads go on."""
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
        self._quiet_at = 0.0
        self._log = get_logger("riskd.connection")

    async def quiet(self) -> None:
        """Wait, for a moment at most, until no call is under way or was just now.

        A read beside a close takes the loop from it, and shows an account in the middle of a change.
        """
        loop = asyncio.get_running_loop()
        given_up = loop.time() + HELD_UP_S
        while (now := loop.time()) < given_up:
            quiet_at = now + QUIET_S if self._under_way else self._quiet_at
            if quiet_at <= now:
                return
            await asyncio.sleep(min(quiet_at, given_up) - now)

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
        self._quiet_at = asyncio.get_running_loop().time() + QUIET_S
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
