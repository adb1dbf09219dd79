"""The gateway loop: one thread with one asyncio loop that owns everything of the SDK.

It outlives every incarnation of the connection actor: a crash there costs neither the sockets nor a call
that is under way. Whatever is asked of it from another thread is handed over and returns at once.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any

from actors.address import Address
from actors.clock import Clock
from actors.connection.calls import Calls
from actors.connection.keeper import Keeper
from actors.connection.options import Options, Outlets
from actors.connection.port import Gateway, GuardAccount, LoadContracts
from actors.logs import get_logger
from actors.messages import AccountId, Call, Called, ContractId, Outcome

NAME = "gateway-loop"
BEAT_EVERY = 0.25
RESTART_AFTER = 1.0
SETTLE = 0.05
CALLS_FINISH = 5.0
"""Seconds that calls under way get at the end; none is cancelled before."""


class GatewayLoop:
    """`port.CallSender`, and the connection actor's hands. `make_gateway` is called on the loop thread."""

    def __init__(
        self, make_gateway: Callable[[], Gateway], options: Options, outlets: Outlets, clock: Clock
    ) -> None:
        self._make_gateway = make_gateway
        self._options = options
        self._outlets = outlets
        self._clock = clock
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name=NAME, daemon=True)
        self._tasks: set[asyncio.Task[object]] = set()
        self._closing: asyncio.Event | None = None
        self._keeper: Keeper | None = None
        self._calls: Calls | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._ready = threading.Event()
        self._log = get_logger("riskd.connection")
        self.beat = clock.mono()
        """Monotonic second of the loop's last beat; one every quarter second while it is not stalled."""
        self.restarts = 0
        """How often a crash inside made the connection start again."""

    @property
    def thread(self) -> threading.Thread:
        return self._thread

    def start(self) -> None:
        """Start the thread, once; returns when it takes orders. Raises RuntimeError where it cannot."""
        if not self._thread.is_alive() and not self._ready.is_set():
            self._thread.start()
            self._ready.wait()
        if self._keeper is None:
            raise RuntimeError("cannot start the gateway loop: it ended at once. Its log says why.")

    def close(self, timeout: float = CALLS_FINISH + 5.0) -> bool:
        """Let calls under way finish, close hubs and client, end the thread; False if it did not in time."""
        if not self._thread.is_alive():
            return True
        self._hand_over(self._ask_to_close)
        self._thread.join(timeout)
        return not self._thread.is_alive()

    # ------------------------------------------------------------ from any thread

    def submit(self, call: Call, reply_to: Address) -> None:
        """Send the call at once; answered to `reply_to` by Called, also when the loop is gone."""
        if not self._hand_over(self._start_call, call, reply_to):
            now, mono = self._clock.wall(), self._clock.mono()
            text = "not sent: the connection is closed"
            reply_to.tell(Called(call, Outcome.UNKNOWN, None, text, now, mono, mono))

    def guard(self, command: GuardAccount) -> None:
        self._to_keeper(lambda keeper: keeper.guard(command))

    def unguard(self, account: AccountId) -> None:
        self._to_keeper(lambda keeper: keeper.unguard(account))

    def watch(self, account: AccountId, contracts: tuple[ContractId, ...]) -> None:
        self._to_keeper(lambda keeper: keeper.watch(account, contracts))

    def read_account(self, account: AccountId, why: str, verify: bool) -> None:
        self._to_keeper(lambda keeper: keeper.read_account(account, why, verify))

    def read_price(self, contract: ContractId) -> None:
        self._to_keeper(lambda keeper: keeper.read_price(contract))

    def load_contracts(self, command: LoadContracts) -> None:
        self._to_keeper(lambda keeper: keeper.records.load(command))

    def drop_link(self, why: str) -> None:
        self._to_keeper(lambda keeper: keeper.drop_link(why))

    def beside[T](self, work: Callable[[Gateway], Coroutine[Any, Any, T]]) -> Future[T]:
        """Carry something out on the loop thread with a gateway of its own; the connection is not touched."""

        async def carry_out() -> T:
            return await work(self._make_gateway())

        return asyncio.run_coroutine_threadsafe(carry_out(), self._loop)

    def call_later(self, seconds: float, fn: Callable[[], object]) -> None:
        """Call `fn` on the loop thread after so many seconds; it must be quick."""
        self._hand_over(self._loop.call_later, seconds, fn)

    def _hand_over(self, fn: Callable[..., object], *args: object) -> bool:
        try:
            self._loop.call_soon_threadsafe(fn, *args)
        except RuntimeError:  # the loop is closed
            return False
        return True

    def _to_keeper(self, order: Callable[[Keeper], object]) -> None:
        def carry_out() -> None:
            if self._keeper is not None:
                order(self._keeper)

        self._hand_over(carry_out)

    # ------------------------------------------------------------ on the loop thread

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._main())
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        finally:
            self._ready.set()
            self._loop.close()

    async def _main(self) -> None:
        self._closing = asyncio.Event()
        gateway = self._make_gateway()
        self._keeper = Keeper(gateway, self._options, self._outlets, self._clock, self._spawn)
        self._calls = self._keeper.calls
        self._spawn(self._beat(), "beat")
        life = self._live(self._keeper)
        self._ready.set()
        await self._closing.wait()
        await self._calls.drain(CALLS_FINISH)
        life.cancel()
        if self._keeping is not None:
            await asyncio.wait({self._keeping}, timeout=CALLS_FINISH)
        await self._end_tasks()
        await gateway.close()
        await self._settle()

    def _live(self, keeper: Keeper) -> asyncio.Task[object]:
        return self._spawn(self._live_forever(keeper), "connection")

    async def _live_forever(self, keeper: Keeper) -> None:
        """The connection is kept for ever; a crash in it is told, and it starts again from the login."""
        while True:
            self._keeping = life = asyncio.create_task(keeper.run(), name="keeper")
            try:
                await asyncio.wait({life})
            finally:
                life.cancel()
            self._report("keeper", life)
            self.restarts += 1
            await asyncio.sleep(RESTART_AFTER)

    async def _beat(self) -> None:
        while True:
            self.beat = self._clock.mono()
            await asyncio.sleep(BEAT_EVERY)

    def _start_call(self, call: Call, reply_to: Address) -> None:
        if self._calls is not None:
            self._calls.start(call, reply_to)

    def _ask_to_close(self) -> None:
        if self._closing is not None:
            self._closing.set()

    def _spawn(self, work: Coroutine[Any, Any, object], name: str) -> asyncio.Task[object]:
        """A task that is kept alive, and whose crash is not lost."""
        task = self._loop.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[object]) -> None:
        self._tasks.discard(task)
        self._report(task.get_name(), task)

    def _report(self, name: str, task: asyncio.Task[object] | asyncio.Task[None]) -> None:
        if task.cancelled():
            return
        error = task.exception()
        if error is not None:
            self._log.exception("gateway.loop_task_crashed", error, task=name)

    async def _end_tasks(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=1.0)

    async def _settle(self) -> None:
        """Let what the libraries left behind end, so that nothing is found half-done when the loop closes."""
        for _ in range(3):
            await asyncio.sleep(0)
            left = asyncio.all_tasks() - {asyncio.current_task()}
            if not left:
                return
            await asyncio.wait(left, timeout=SETTLE)
            for task in left:
                task.cancel()
