"""Drives a tree of supervised actors: the pure levels on one side, threads and trio on the other.

Whoever has news (an actor's thread that ends, the scan, a command) posts it; one of the posting threads at a
time works the queue off and carries out what the levels order. So a crashed actor's own thread starts its
replacement without waiting for the main thread, and nobody ever waits for somebody else to do so. Only the
main thread scans (every 50 ms), expires timers and calls the hooks.

A thread cannot be killed in Python. To kill, or to give up on a hang, means to *fence*: the address takes
nothing from that thread any more, a replacement starts, the leftover is counted until it ends. Too many
leftovers and the whole process has to be replaced.
"""

import concurrent.futures
import contextlib
import random
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from typing import assert_never

import msgspec
import trio

from actors.clock import Clock
from actors.worker import (
    Answer,
    Crash,
    Exited,
    Failed,
    Hang,
    Ignored,
    Incarnation,
    Notice,
    Ready,
    Reason,
    Terms,
)
from supervisor.child_spec import ChildSpec, SupervisorSpec
from supervisor.events import (
    Answered,
    AskStop,
    ChildExited,
    ChildFailed,
    ChildIgnored,
    ChildReady,
    Close,
    DeleteChild,
    Fence,
    Input,
    LevelEnded,
    LevelFailed,
    LevelReady,
    RecycleChild,
    Report,
    Request,
    Start,
    StartChild,
    Stop,
    TerminateChild,
)
from supervisor.handle import DeadLetters, Handle
from supervisor.hooks import Hooks, ReportGate, SilentHooks
from supervisor.levels import Effect, Levels
from supervisor.overview import tree
from supervisor.scan import Scan

ZOMBIE_CAP = 3
DEGRADED_LIMIT_S = 10.0
"""So long an actor that is never replaced beside its own thread may be overdue before the process is."""


class StartFailed(Exception):
    """The tree could not be started; what had been started is stopped again."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(f"cannot start: {reason.describe()}")
        self.reason = reason


class Refused(Exception):
    """A request on a child was not carried out; `answer.refused` is the stable word for why."""

    def __init__(self, answer: Answered) -> None:
        detail = "" if answer.reason is None else f" ({answer.reason.describe()})"
        super().__init__(f"cannot do that to {answer.id}: {answer.refused}{detail}")
        self.answer = answer


class Supervisor:
    """The running tree. Plain methods may be called from any thread, `async` ones from trio."""

    def __init__(
        self,
        root: SupervisorSpec,
        clock: Clock,
        hooks: Hooks | None = None,
        *,
        chance: random.Random | None = None,
        zombie_cap: int = ZOMBIE_CAP,
        in_place: bool = True,
    ) -> None:
        self.clock = clock
        self.hooks: Hooks = hooks or SilentHooks()
        self.levels = Levels(root, chance or random.Random())
        self.scan = Scan()
        self.handles: dict[str, Handle] = {}
        self.zombies: list[Incarnation] = []
        self.ready = False
        self.ended: Reason | None = None
        self.dead_letters = DeadLetters(listen=lambda letter: self._later(self.hooks.dead_letter, letter))
        self._zombie_cap = zombie_cap
        self._in_place = in_place
        self._gate = ReportGate()
        self._asks: deque[Answer] = deque()
        self._overdue: dict[str, float] = {}
        self._news: deque[Callable[[], None]] = deque()
        self._lock = threading.Lock()
        self._outbox: deque[Callable[[], None]] = deque()
        self._must_restart: str | None = None
        self._token: trio.lowlevel.TrioToken | None = None
        self._woken = trio.Event()
        self._changed = trio.Event()
        for child in root.children:
            self._know(child)

    # Addresses.

    def handle(self, name: str) -> Handle:
        """The address of an actor of this tree, alive or not. Raises KeyError for a name it does not have."""
        try:
            return self.handles[name]
        except KeyError:
            known = ", ".join(sorted(self.handles))
            raise KeyError(f"cannot find actor {name!r}: there is {known}") from None

    def _know(self, spec: ChildSpec) -> None:
        if spec.supervisor is not None:
            if spec.supervisor.strategy != "simple_one_for_one":
                for child in spec.supervisor.children:
                    self._know(child)
            return
        handle = self.handles.get(spec.id)
        if handle is None:
            handle = Handle(
                spec.id,
                self.clock,
                dead_letters=self.dead_letters,
                on_refused=lambda name, message: self._later(self.hooks.refused, name, message),
                on_ask=self._asks.append,
            )
            self.handles[spec.id] = handle
            self.scan.watch(self.handles.values())
        handle.limit, handle.max_attempts = spec.mailbox_limit, spec.max_attempts

    def _forget(self, spec: ChildSpec) -> None:
        for child in spec.supervisor.children if spec.supervisor is not None else ():
            self._forget(child)
        self.handles.pop(spec.id, None)
        self.scan.watch(self.handles.values())

    # Life of the tree.

    async def start(self, nursery: trio.Nursery) -> None:
        """Start everything in order; returns when all are ready. Raises StartFailed."""
        self._token = trio.lowlevel.current_trio_token()
        nursery.start_soon(self._run)
        self.begin()
        await self._until(lambda: self.ready or self.ended is not None)
        if self.ended is not None:
            raise StartFailed(self.ended)

    async def stop(self) -> None:
        """Stop everything in reverse order; returns when all are down."""
        self._post(self.levels.root.id, Stop())
        await self._until(lambda: self.ended is not None)

    def begin(self) -> None:
        """Order the start without waiting for it."""
        self._order(lambda: self._carry_out(self.levels.boot(self.clock.mono())))

    def turn(self) -> None:
        """One round of the main thread: due timers, a scan if it is time, the hooks."""
        now = self.clock.mono()
        self._order(lambda: self._carry_out(self.levels.expire(now)))
        if self.scan.due(now):
            self._look(now)
            self._later(self.hooks.scanned, now)
        while self._outbox:
            self._outbox.popleft()()

    async def _run(self) -> None:
        while self.ended is None:
            self.turn()
            self._changed.set()
            self._changed = trio.Event()
            with trio.move_on_after(self._rest()):
                await self._woken.wait()
            self._woken = trio.Event()
        self.turn()
        self._changed.set()

    def _rest(self) -> float:
        with self._quiet():
            due = self.levels.next_due()
        next_due = min(self.scan.next_due(), self.scan.next_due() if due is None else due)
        return max(0.0, next_due - self.clock.mono())

    async def _until(self, holds: Callable[[], bool]) -> None:
        while not holds():
            await self._changed.wait()

    def _wake(self) -> None:
        if self._token is not None:
            with contextlib.suppress(trio.RunFinishedError):
                self._token.run_sync_soon(self._wake_here, idempotent=True)

    def _wake_here(self) -> None:
        self._woken.set()

    def _later(self, hook: Callable[..., None], *args: object) -> None:
        self._outbox.append(partial(hook, *args))

    # News in, orders out. Everything called from `_work` runs under the lock, in whichever thread it is.

    def _post(self, level: str, event: Input) -> None:
        self._order(partial(self._step, level, event))

    def _order(self, order: Callable[[], None]) -> None:
        self._news.append(order)
        self._work()

    def _work(self) -> None:
        # Whoever finds the lock taken leaves the work to its holder, who looks again after letting go.
        while self._news and self._lock.acquire(blocking=False):
            try:
                while self._news:
                    self._news.popleft()()
            finally:
                self._lock.release()

    @contextlib.contextmanager
    def _quiet(self) -> Iterator[None]:
        """Nothing changes while this is held; news that come meanwhile are worked off after it."""
        with self._lock:
            yield
        self._work()

    def _step(self, level: str, event: Input) -> None:
        self._carry_out(self.levels.step(self.clock.mono(), level, event))

    def _notice(self, incarnation: Incarnation, notice: Notice) -> None:
        """News from an actor's thread, brought by that thread."""
        name, epoch = incarnation.home.id, incarnation.epoch
        event: ChildReady | ChildIgnored | ChildFailed | ChildExited
        match notice:
            case Ready(info):
                event = ChildReady(name, epoch, info)
            case Ignored():
                event = ChildIgnored(name, epoch)
            case Failed(reason):
                event = ChildFailed(name, epoch, reason)
            case Exited(reason):
                event = ChildExited(name, epoch, reason)
            case _:
                assert_never(notice)
        self._news.append(partial(self._step, self.levels.level_of[name], event))
        if self._in_place:
            self._work()
        else:
            self._wake()

    def _carry_out(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Start():
                    self._start(effect)
                case AskStop(id=name):
                    self._ask_stop(effect)
                case Fence(id=name, reason=reason):
                    self._fence(name, reason)
                case Close(id=name, why=why):
                    if name in self.handles:
                        self.handles[name].close(why)
                case Answered(request=request):
                    assert isinstance(request, concurrent.futures.Future)
                    request.set_result(effect)
                case Report():
                    self._pass_on(effect)
                case LevelReady():
                    self.ready = True
                case LevelFailed(reason) | LevelEnded(reason):
                    self.ended = reason
                case _:
                    assert_never(effect)
        if effects:
            self._wake()

    def _start(self, start: Start) -> None:
        spec, name = start.spec, start.id
        self._know(spec)
        handle = self.handles[name]
        assert spec.factory is not None
        before = handle.latest_incarnation
        if before is not None and not spec.replace_when_hung and before.is_at_work():
            self._failed(start, Reason("start_failed", "its previous thread still runs"))
            return
        drain = spec.drain
        terms = Terms(spec.factory, spec.args, spec.handler_deadline_s, drain)
        try:
            Incarnation.start(handle, start.epoch, terms, handle.kept, self._notice)
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

    def _fence(self, name: str, reason: Reason, overdue_at: float | None = None) -> Incarnation | None:
        """Give the present life of an actor up; the incarnation, or None when there is none to give up."""
        handle = self.handles[name]
        incarnation = handle.incumbent
        if incarnation is None or not handle.fence(incarnation, reason, overdue_at):
            return None
        incarnation.strike_off()
        self.zombies.append(incarnation)
        return incarnation

    def _end(self, name: str, reason: Reason, since: float | None = None, late: float | None = None) -> None:
        incarnation = self._fence(name, reason, late)
        if incarnation is not None:
            self._step(self.levels.level_of[name], ChildExited(name, incarnation.epoch, reason, since))

    def _pass_on(self, report: Report) -> None:
        admitted = self._gate.admit(self.clock.mono(), report)
        if admitted is not None:
            self._outbox.append(partial(self.hooks.report, admitted))

    # The scan.

    def _look(self, now: float) -> None:
        self.scan.begin(now)
        for handle in self.scan.vanished():
            reason = Reason("vanished", "its thread ended without a word")
            self._order(partial(self._end, handle.id, reason))
        late = self.scan.overdue(now)
        for handle in late:
            self._order(partial(self._judge, handle, now))
        if self._overdue:
            names = {handle.id for handle in late}
            self._overdue = {name: since for name, since in self._overdue.items() if name in names}
        self._expire_asks(now)
        self._count_zombies()

    def _judge(self, handle: Handle, now: float) -> None:
        """An overdue actor: replace it, or only shout where a second one beside it would do harm."""
        incarnation, began = handle.incumbent, now - handle.busy_s()
        if incarnation is None:
            return
        found = self.levels.find(handle.id)
        if found is None or found[1].spec.replace_when_hung:
            reason = Reason("hung", f"busy for {now - began:.3f} s", stack=stack_of(incarnation))
            self._end(handle.id, reason, began, now)
        elif handle.id not in self._overdue:
            self._overdue[handle.id] = began
            self._say_overdue(self.levels.level_of[handle.id], found[1].spec, incarnation)
        elif now - began > DEGRADED_LIMIT_S:
            self._say_must_restart(
                f"{handle.id} has been busy for {now - began:.0f} s and cannot be replaced"
            )

    def _say_overdue(self, level: str, spec: ChildSpec, incarnation: Incarnation) -> None:
        reason = Reason("hung", "not replaced beside its own thread", stack=stack_of(incarnation))
        report = Report("overdue", level, spec.id, incarnation.epoch, spec.restart, spec.stop_wait_s, reason)
        self._pass_on(report)

    def _say_must_restart(self, reason: str) -> None:
        if self._must_restart is None:
            self._must_restart = reason
            self._later(self.hooks.must_restart, reason)

    def _expire_asks(self, now: float) -> None:
        for _ in range(len(self._asks)):
            answer = self._asks.popleft()
            if answer.expires_at <= now:
                answer.expire()
            elif not answer.done():
                self._asks.append(answer)

    def _count_zombies(self) -> None:
        if self.zombies:
            self.zombies = [zombie for zombie in self.zombies if zombie.is_at_work()]
            if len(self.zombies) > self._zombie_cap:
                self._say_must_restart(f"{len(self.zombies)} threads were given up and still run")

    # Administration.

    async def add_child(self, level: str, spec: ChildSpec) -> object:
        """Add a child to a running level and wait until it is ready; its start info. Raises Refused."""
        with self._quiet():
            if self.levels.find(spec.id) is not None:
                raise Refused(Answered(None, "already_present", spec.id))
            self._know(spec)
        try:
            return (await self._ask(level, lambda ticket: StartChild(ticket, spec))).info
        except Refused:
            with self._quiet():
                self._forget(spec)
            raise

    async def remove_child(self, name: str) -> None:
        """Stop a child, with everything below it, and forget it. Raises Refused."""
        level, spec = self._find(name)
        await self._ask(level, lambda ticket: TerminateChild(ticket, name))
        if spec.restart != "temporary":  # those are forgotten when they are stopped
            await self._ask(level, lambda ticket: DeleteChild(ticket, name))
        with self._quiet():
            self._forget(spec)

    async def restart(self, name: str) -> None:
        """Stop a child in good order and start it afresh; also one that was given up. Raises Refused."""
        level, _ = self._find(name)
        await self._ask(level, lambda ticket: RecycleChild(ticket, name))

    def _find(self, name: str) -> tuple[str, ChildSpec]:
        with self._quiet():
            found = self.levels.find(name)
        if found is None:
            raise Refused(Answered(None, "not_found", name))
        return found[0].spec.id, found[1].spec

    def tree(self) -> dict[str, object]:
        """The tree as `actors tree --json` shows it: {id, type, state, epoch, restarts, mailbox, ...}."""
        with self._quiet():
            root = tree(self.levels, self.handles, self.clock.mono())
        built: dict[str, object] = msgspec.to_builtins(root)
        return built

    def kill(self, name: str) -> None:
        """Give an actor up this instant, as a hang would be; its supervisor decides what follows."""
        self.handle(name)
        self._order(partial(self._end, name, Reason("killed", "asked for"), None))

    def crash(self, name: str) -> None:
        """Let an actor crash in its own thread (chaos)."""
        self.handle(name).tell(Crash(), urgent=True)

    def hang(self, name: str, seconds: float) -> None:
        """Let an actor's thread be deaf for so long (chaos)."""
        self.handle(name).tell(Hang(seconds), urgent=True)

    async def _ask(self, level: str, make: Callable[[object], Request]) -> Answered:
        ticket: concurrent.futures.Future[Answered] = concurrent.futures.Future()
        self._post(level, make(ticket))
        answered = await outcome(ticket)
        if answered.refused is not None:
            raise Refused(answered)
        return answered


async def outcome[T](future: concurrent.futures.Future[T]) -> T:
    """Wait from trio for an ask or a request: `await outcome(handle.ask(message, 2.0))`."""
    done = trio.Event()
    token = trio.lowlevel.current_trio_token()
    future.add_done_callback(lambda _: token.run_sync_soon(done.set))
    await done.wait()
    return future.result()


def stack_of(incarnation: Incarnation) -> str:
    """Where the actor's thread is just now, as text."""
    ident = None if incarnation.thread is None else incarnation.thread.ident
    frame = None if ident is None else sys._current_frames().get(ident)
    return "" if frame is None else "".join(traceback.format_stack(frame))
