"""Lets control operations wait for something to happen without looking again and again."""

import asyncio
from collections.abc import Callable


class Bell:
    """Rung whenever something happened that somebody may be waiting for."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()

    def ring(self) -> None:
        self._rung.set()
        self._rung = asyncio.Event()

    async def until(self, reached: Callable[[], bool], seconds: float) -> bool:
        """Waits until something is reached; False when it is not in time."""
        try:
            async with asyncio.timeout(seconds):
                while not reached():
                    await self._rung.wait()
        except TimeoutError:
            return False
        return True
