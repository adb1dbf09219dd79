"""The simulator from synchronous code: on a thread of its own, controlled by plain calls."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from ops.simulator.clock import Clock, ShiftedClock
from ops.simulator.server import RunningSimulator, serve
from ops.simulator.settings import Settings, Urls
from ops.simulator.shapes import Json

#: Seconds that an operation or a stop may take before the caller is told.
PATIENCE = 10.0


class ThreadedSimulator:
    """A simulator on another thread. `gateway` state may be read through `control` only."""

    def __init__(self, simulator: RunningSimulator, loop: asyncio.AbstractEventLoop) -> None:
        self._simulator = simulator
        self._loop = loop
        self.urls: Urls = simulator.urls

    def control(self, request: Json) -> Json:
        """Carries out one operation; raises ValueError with the reason when it cannot be done."""
        if self._loop.is_closed():
            raise RuntimeError("the simulator has ended")
        patience = PATIENCE + float(str(request.get("timeout", 0)))
        return asyncio.run_coroutine_threadsafe(self._simulator.control(request), self._loop).result(patience)


@contextmanager
def run_in_thread(
    settings: Settings | None = None, clock: Clock | None = None
) -> Iterator[ThreadedSimulator]:
    """Runs a simulator for the length of a `with` block, and ends its thread and sockets after it."""
    started = threading.Event()
    found: list[ThreadedSimulator] = []
    failed: list[BaseException] = []
    stop: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def main() -> None:
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()
        simulator = await serve(settings or Settings(), clock or ShiftedClock())
        try:
            stop.append((loop, ended))
            found.append(ThreadedSimulator(simulator, loop))
            started.set()
            await ended.wait()
        finally:
            await simulator.stop()

    def body() -> None:
        try:
            asyncio.run(main())
        except OSError as error:
            failed.append(error)
        finally:
            started.set()

    thread = threading.Thread(target=body, name="simulator", daemon=True)
    thread.start()
    started.wait(PATIENCE)
    if not found:
        raise RuntimeError("cannot start the simulator") from (failed[0] if failed else None)
    try:
        yield found[0]
    finally:
        loop, ended = stop[0]
        loop.call_soon_threadsafe(ended.set)
        thread.join(PATIENCE)
