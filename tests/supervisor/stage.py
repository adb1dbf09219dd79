"""Real handles, real incarnations: once stepped by hand on a manual clock, once on real threads."""

from __future__ import annotations

import concurrent.futures
import contextlib
import random
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from actors.clock import ManualClock
from actors.worker import Actor, Incarnation
from supervisor.child_spec import Backoff, ChildSpec, SupervisorSpec
from supervisor.driver import Supervisor
from supervisor.events import RecycleChild, Report, Stop, TerminateChild
from supervisor.handle import DeadLetter, Handle
from supervisor.hooks import SilentHooks
from supervisor.stepped import Stepped

START = datetime(2026, 3, 2, 14, 30, tzinfo=UTC)
PATIENCE_S = 10.0
SCAN_S = 0.05


class Heard(SilentHooks):
    """Everything the supervisor said."""

    def __init__(self) -> None:
        self.reports: list[Report] = []
        self.letters: list[DeadLetter] = []
        self.refusals: list[tuple[str, object]] = []
        self.must_restarts: list[str] = []
        self.scans = 0

    def report(self, report: Report) -> None:
        self.reports.append(report)

    def dead_letter(self, letter: DeadLetter) -> None:
        self.letters.append(letter)

    def refused(self, name: str, message: object) -> None:
        self.refusals.append((name, message))

    def must_restart(self, reason: str) -> None:
        self.must_restarts.append(reason)

    def scanned(self, now: float) -> None:
        self.scans += 1

    def kinds(self, name: str) -> list[str]:
        return [report.kind for report in self.reports if report.id == name]


def child(name: str, factory: Callable[..., Actor], **terms: object) -> ChildSpec:
    """A child that never gives up and never waits, unless told otherwise."""
    plain = {"crashes": "unlimited", "failed_starts": "unlimited", "backoff": Backoff(min_s=0, max_s=0)}
    return ChildSpec(**{"id": name, "factory": factory, **plain, **terms})  # type: ignore[arg-type]


class Stage:
    """A supervisor on a manual clock whose main thread is the test."""

    def __init__(
        self, *children: ChildSpec, incarnation: type[Incarnation] = Stepped, **terms: object
    ) -> None:
        self.clock = ManualClock(START)
        self.heard = Heard()
        root = SupervisorSpec(id="root", children=children)
        chance = random.Random(7)
        self.supervisor = Supervisor(
            root,
            self.clock,
            self.heard,
            chance=chance,
            incarnation=incarnation,
            **terms,  # type: ignore[arg-type]
        )

    def handle(self, name: str) -> Handle:
        return self.supervisor.handle(name)

    def life(self, name: str) -> Incarnation:
        """The present incarnation."""
        incarnation = self.handle(name).incumbent
        assert incarnation is not None, f"nobody is at {name}"
        return incarnation

    def recycle(self, name: str) -> None:
        self.supervisor.post("root", RecycleChild(concurrent.futures.Future(), name))

    def terminate(self, name: str) -> None:
        self.supervisor.post("root", TerminateChild(concurrent.futures.Future(), name))
        self.settle()

    def wait(self, seconds: float) -> None:
        """Let time pass, with a scan every 50 ms as the main thread does."""
        end = self.clock.mono() + seconds
        while self.clock.mono() < end - 1e-9:
            self.clock.advance(min(SCAN_S, end - self.clock.mono()))
            self.supervisor.turn()

    # Stepped actors.

    def boot(self) -> Stage:
        self.supervisor.begin()
        self.settle()
        return self

    def settle(self) -> None:
        """Step everybody, in turn, until nobody has anything left to do."""
        while sum(self._step(handle) for handle in list(self.supervisor.handles.values())):
            pass
        self.supervisor.turn()

    def _step(self, handle: Handle) -> bool:
        incarnation = handle.incumbent
        return isinstance(incarnation, Stepped) and incarnation.step()

    # Actors on threads.

    @contextlib.contextmanager
    def on_threads(self) -> Iterator[Stage]:
        """Up and running inside; whatever is left afterwards is stopped."""
        self.supervisor.begin()
        self.until(lambda: self.supervisor.ready or self.supervisor.ended is not None)
        try:
            yield self
        finally:
            self.stop()
            self.until(lambda: self.supervisor.ended is not None, passing_s=SCAN_S)

    def stop(self) -> None:
        self.supervisor.post("root", Stop())

    def until(self, holds: Callable[[], bool], *, passing_s: float = 0.0) -> None:
        """Turn the main thread until something holds; with `passing_s` the clock moves on, too."""
        deadline = time.monotonic() + PATIENCE_S
        while not holds():
            assert time.monotonic() < deadline, "it never came true"
            if passing_s:
                self.clock.advance(passing_s)
            self.supervisor.turn()
            threading.Event().wait(0.0005)
        self.supervisor.turn()


class Recorder(Actor):
    """Notes what it handles; `boom` messages crash it. Keeps the number of messages it has handled."""

    def __init__(self, kept: object | None, seen: list[object], *_: object) -> None:
        self.seen = seen
        self.count = kept if isinstance(kept, int) else 0

    def receive(self, message: object) -> None:
        if isinstance(message, BaseException):
            raise message
        if message == "count":
            self.reply(self.count)
            return
        self.seen.append(message)
        self.count += 1

    def keep(self) -> object:
        return self.count
