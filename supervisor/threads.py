"""Carries the orders of the levels out on real threads.

Whoever has news (an actor's thread that ends, the scan, a command) posts it; one of the posting threads at a
time works the queue off and does what the levels order. So a crashed actor's own thread starts its
replacement without waiting for the main thread, and nobody ever waits for somebody else to do so.
"""

import concurrent.futures
import contextlib
import random
import threading
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from typing import assert_never

from actors.address import Answer, Reason
from actors.clock import Clock
from actors.worker import Exited, Failed, Ignored, Incarnation, Notice, Ready, Terms
from supervisor.child_spec import ChildSpec, SpecError, SupervisorSpec
from supervisor.events import (
    Answered,
    AskStop,
    ChildExited,
    ChildFailed,
    ChildIgnored,
    ChildReady,
    Close,
    Fence,
    Input,
    LevelEnded,
    LevelFailed,
    LevelReady,
    Report,
    Start,
)
from supervisor.handle import DeadLetters, Handle
from supervisor.hooks import Hooks, ReportGate
from supervisor.levels import Effect, Levels
from supervisor.scan import Scan


class Threads:
    """The addresses of a tree, and the threads that serve them."""

    def __init__(
        self,
        root: SupervisorSpec,
        clock: Clock,
        hooks: Hooks,
        *,
        chance: random.Random,
        in_place: bool,
        incarnation: type[Incarnation],
    ) -> None:
        self.clock = clock
        self.hooks = hooks
        self.levels = Levels(root, chance)
        self.scan = Scan()
        self.handles: dict[str, Handle] = {}
        self.dead_letters = DeadLetters(listen=lambda letter: self.later(self.hooks.dead_letter, letter))
        self.zombies: list[Incarnation] = []
        """Given up, and their threads may still run."""
        self.ready = False
        self.ended: Reason | None = None
        self.asks: deque[Answer] = deque()
        self.outbox: deque[Callable[[], None]] = deque()
        """Calls of hooks; made by the main thread."""
        self._in_place = in_place
        self._incarnation = incarnation
        self._gate = ReportGate()
        self._news: deque[Callable[[], None]] = deque()
        self._lock = threading.Lock()
        self._lasting: set[str] = set()
        for child in root.children if root.strategy != "simple_one_for_one" else ():
            self.know(child)

    def wake(self) -> None:
        """There is something for the main thread to do."""

    def later(self, hook: Callable[..., None], *args: object) -> None:
        self.outbox.append(partial(hook, *args))

    # Addresses.

    def handle(self, name: str) -> Handle:
        """The address of an actor of this tree, alive or not. Raises KeyError for a name it does not have."""
        try:
            return self.handles[name]
        except KeyError:
            known = ", ".join(sorted(self.handles))
            raise KeyError(f"cannot find actor {name!r}: there is {known}") from None

    def know(self, spec: ChildSpec) -> None:
        """Make addresses for a child and everything below it, before any of it starts."""
        if spec.id in self._lasting or spec.id == self.levels.root.id:
            raise SpecError("duplicate_id", spec.id, "is the name of something else in the tree")
        self._lasting.add(spec.id)
        if spec.supervisor is None:
            self._address(spec)
        elif spec.supervisor.strategy != "simple_one_for_one":
            for child in spec.supervisor.children:
                self.know(child)

    def forget(self, spec: ChildSpec) -> None:
        """Nobody will come to these addresses again."""
        for child in spec.supervisor.children if spec.supervisor is not None else ():
            self.forget(child)
        self._lasting.discard(spec.id)
        self._drop(spec.id)

    def _address(self, spec: ChildSpec) -> Handle:
        handle = self.handles.get(spec.id)
        if handle is None:
            handle = self.handles[spec.id] = self.new_handle(spec.id)
            self.scan.watch(self.handles.values())
        handle.limit, handle.max_attempts = spec.mailbox_limit, spec.max_attempts
        return handle

    def new_handle(self, name: str) -> Handle:
        """An address nobody serves yet."""
        return Handle(
            name,
            self.clock,
            dead_letters=self.dead_letters,
            on_refused=lambda name, message: self.later(self.hooks.refused, name, message),
            on_ask=self.asks.append,
            on_beat=self.scan.watch_beat,
        )

    def _drop(self, name: str) -> None:
        handle = self.handles.pop(name, None)
        if handle is not None:
            handle.close("removed")
            self.scan.watch(self.handles.values())

    # News in. Everything called from `_work` runs under the lock, in whichever thread that is.

    def post(self, level: str, event: Input) -> None:
        self.order(partial(self._step, level, event))

    def order(self, order: Callable[[], None]) -> None:
        self._news.append(order)
        self._work()

    @contextlib.contextmanager
    def quiet(self) -> Iterator[None]:
        """Nothing changes while this is held; news that come meanwhile are worked off after it."""
        with self._lock:
            yield
        self._work()

    def _work(self) -> None:
        # Whoever finds the lock taken leaves the work to its holder, who looks again after letting go.
        while self._news and self._lock.acquire(blocking=False):
            try:
                while self._news:
                    self._news.popleft()()
            finally:
                self._lock.release()

    def _step(self, level: str, event: Input) -> None:
        self.carry_out(self.levels.step(self.clock.mono(), level, event))

    def notice(self, incarnation: Incarnation, notice: Notice) -> None:
        """News from an actor, brought by its own thread."""
        name, epoch = incarnation.home.id, incarnation.epoch
        level = self.levels.level_of.get(name)
        if level is None:
            return
        self._news.append(partial(self._step, level, event_of(name, epoch, notice)))
        if self._in_place:
            self._work()
        else:
            self.wake()

    # Orders out.

    def carry_out(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Start():
                    self._start(effect)
                case AskStop():
                    self._ask_stop(effect)
                case Fence(id=name, reason=reason):
                    self.fence(name, reason)
                case Close():
                    self._close(effect)
                case Answered(request=request):
                    assert isinstance(request, concurrent.futures.Future)
                    request.set_result(effect)
                case Report():
                    self.pass_on(effect)
                case LevelReady():
                    self.ready = True
                case LevelFailed(reason) | LevelEnded(reason):
                    self._finish(reason)
                case _:
                    assert_never(effect)
        if effects:
            self.wake()

    def _start(self, start: Start) -> None:
        spec = start.spec
        assert spec.factory is not None
        handle = self._address(spec)
        before = handle.latest_incarnation
        if before is not None and not spec.replace_when_hung and before.is_at_work():
            self._failed(start, Reason("start_failed", "its previous thread still runs"))
            return
        terms = Terms(spec.factory, spec.args, spec.handler_deadline_s, spec.drain)
        try:
            self._incarnation.start(handle, start.epoch, terms, handle.kept, self.notice)
        except RuntimeError as error:  # the system has no thread left
            reason = Reason("start_failed", error=error)
            if handle.incumbent is not None:
                handle.vacate(handle.incumbent, reason)
            self._failed(start, reason)

    def _failed(self, start: Start, reason: Reason) -> None:
        event = ChildFailed(start.id, start.epoch, reason)
        self._news.append(partial(self._step, self.levels.level_of[start.id], event))

    def _ask_stop(self, order: AskStop) -> None:
        handle = self.handles[order.id]
        incarnation = handle.incumbent
        if incarnation is not None and incarnation.epoch == order.epoch:
            handle.ask_stop(incarnation, drain=order.final and incarnation.terms.drain)

    def _close(self, order: Close) -> None:
        handle = self.handles.get(order.id)
        if handle is not None:
            handle.close(order.why)
            if order.id not in self._lasting:
                self._drop(order.id)

    def _finish(self, reason: Reason) -> None:
        for handle in self.handles.values():
            handle.close("the program stopped")
        self.ended = reason
        if self.ready and not reason.is_clean:
            self.later(self.hooks.must_restart, reason.describe())

    def fence(self, name: str, reason: Reason, overdue_at: float | None = None) -> Incarnation | None:
        """Give the present life of an actor up; the incarnation, or None when there is none to give up."""
        handle = self.handles[name]
        incarnation = handle.incumbent
        if incarnation is None or not handle.fence(incarnation, reason, overdue_at):
            return None
        incarnation.strike_off()
        incarnation.fenced_at = self.clock.mono()
        self.zombies.append(incarnation)
        return incarnation

    def end(self, name: str, reason: Reason, since: float | None = None, late: float | None = None) -> None:
        """Give an actor up and tell its level; with `late` only if its handler is still overdue then."""
        level = self.levels.level_of.get(name)
        incarnation = None if level is None else self.fence(name, reason, late)
        if level is not None and incarnation is not None:
            self._step(level, ChildExited(name, incarnation.epoch, reason, since))

    def pass_on(self, report: Report) -> None:
        admitted = self._gate.admit(self.clock.mono(), report)
        if admitted is not None:
            self.later(self.hooks.report, admitted)


def event_of(name: str, epoch: int, notice: Notice) -> ChildReady | ChildIgnored | ChildFailed | ChildExited:
    match notice:
        case Ready(info):
            return ChildReady(name, epoch, info)
        case Ignored():
            return ChildIgnored(name, epoch)
        case Failed(reason):
            return ChildFailed(name, epoch, reason)
        case Exited(reason):
            return ChildExited(name, epoch, reason)
        case _:
            assert_never(notice)
