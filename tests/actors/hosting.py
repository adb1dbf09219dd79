"""One actor in its own thread behind its real address, without a tree around it; reborn when it crashes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType

from actors.clock import Clock, SystemClock
from actors.worker import Actor, Exited, Failed, Incarnation, Notice, Order, Ready, Terms
from supervisor.handle import IDLE, Handle

PATIENCE_S = 5.0


class Hosted:
    """`with Hosted("persistence", factory) as actor: actor.handle.tell(...); actor.settle()`."""

    def __init__(self, name: str, factory: Callable[..., Actor], clock: Clock | None = None) -> None:
        self.handle = Handle(name, SystemClock() if clock is None else clock)
        self.ends: list[str] = []
        self._terms = Terms(factory=factory, deadline_s=PATIENCE_S)
        self._epoch = 0
        self._ready = threading.Event()
        self._gone = threading.Event()
        self._closing = False

    def __enter__(self) -> Hosted:
        self._start()
        assert self._ready.wait(PATIENCE_S), self.ends
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing = True
        incarnation = self.handle.incumbent
        if incarnation is not None:
            self.handle.ask_stop(incarnation, drain=True)
            assert self._gone.wait(PATIENCE_S)

    def settle(self) -> None:
        """Wait until everything told so far, and what that led to, is handled."""
        wait_for(lambda: self.handle.depth == 0 and self.handle.due == IDLE)

    def crash(self) -> None:
        """Let the actor crash and wait until the next one has started."""
        self._ready.clear()
        self.handle.tell(Order())
        assert self._ready.wait(PATIENCE_S), self.ends
        self.settle()

    def _start(self) -> None:
        self._epoch += 1
        Incarnation.start(self.handle, self._epoch, self._terms, self.handle.kept, self._heard)

    def _heard(self, incarnation: Incarnation, notice: Notice) -> None:
        match notice:
            case Ready():
                self._ready.set()
            case Exited(reason=reason) | Failed(reason=reason):
                self.ends.append(reason.describe())
                if self._closing:
                    self._gone.set()
                else:
                    self._start()


def wait_for(condition: Callable[[], bool], patience_s: float = PATIENCE_S) -> None:
    """Poll until the condition holds; fails the test when it does not in time."""
    until = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.001)
