"""Drives a tree of supervised actors from trio: start and stop, the scan, the timers, the administration.

Everything an actor's thread can do for itself it does (`threads`). Only the main thread scans, every 50 ms,
expires timers and calls the hooks.

A thread cannot be killed in Python. To kill, or to give up on a hang, means to *fence*: the address takes
nothing from that thread any more, a replacement starts, the leftover is counted until it ends. Too many
leftovers and the whole process has to be replaced.
"""

import concurrent.futures
import contextlib
import random
import sys
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import msgspec
import trio

from actors.address import Reason
from actors.clock import Clock
from actors.worker import Incarnation, Order
from config.errors import CallerMustAct, WeMustAct
from supervisor.child_spec import ChildSpec, SupervisorSpec
from supervisor.events import (
    Answered,
    DeleteChild,
    RecycleChild,
    Report,
    Request,
    StartChild,
    Stop,
    TerminateChild,
)
from supervisor.handle import Handle
from supervisor.hooks import Hooks, SilentHooks
from supervisor.overview import Pulse, pulse, tree
from supervisor.threads import Threads

ZOMBIE_CAP = 3
STOP_TURN_S = 0.005
INTERRUPT_AFTER_S = 1.0
"""A thread still at work so long after it was given up is in an endless loop. Interrupting at once would hit
many that are about to end by themselves, in the middle of code that others share."""
DEGRADED_LIMIT_S = 10.0
"""So long an actor that is never replaced beside its own thread may be overdue before the process is."""


class StartFailed(WeMustAct):
    """The tree could not be started; what had been started is stopped again."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(f"cannot start: {reason.describe()}")
        self.reason = reason


class Refused(CallerMustAct):
    """A request on a child was not carried out; `answer.refused` is the stable word for why."""

    def __init__(self, answer: Answered) -> None:
        detail = "" if answer.reason is None else f" ({answer.reason.describe()})"
        super().__init__(f"cannot do that to {answer.id}: {answer.refused}{detail}")
        self.answer = answer


class Unanswered(WeMustAct):
    """Who was asked died over it or said nothing in time; asked again, the next incarnation may answer."""


class Supervisor(Threads):
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
        incarnation: type[Incarnation] = Incarnation,
    ) -> None:
        self._zombie_cap = zombie_cap
        self._overdue: dict[str, float] = {}
        self._must_restart: str | None = None
        self._token: trio.lowlevel.TrioToken | None = None
        self._woken = trio.Event()
        self._changed = trio.Event()
        self._is_driven = False
        super().__init__(
            root,
            clock,
            hooks or SilentHooks(),
            chance=chance or random.Random(),
            in_place=in_place,
            incarnation=incarnation,
        )

    # Life of the tree.

    async def start(self, nursery: trio.Nursery) -> None:
        """Start everything in order; returns when all are ready. Raises StartFailed."""
        self._token = trio.lowlevel.current_trio_token()
        nursery.start_soon(self._run)
        self.begin()
        while not self.ready and self.ended is None:
            await self._changed.wait()
        if self.ended is not None:
            raise StartFailed(self.ended)

    async def stop(self) -> None:
        """Stop everything in reverse order; returns when all are down. Works in a cancelled nursery,
        shielded."""
        self.post(self.levels.root.id, Stop())
        while self.ended is None:
            if self._is_driven:
                await self._changed.wait()
            else:
                self.turn()
                await trio.sleep(STOP_TURN_S)

    async def wait_ended(self) -> Reason:
        """Wait until the tree is down, and why: `shutdown`, or `escalated` when it gave up by itself."""
        while self.ended is None:
            await self._changed.wait()
        return self.ended

    def begin(self) -> None:
        """Order the start without waiting for it."""
        self.order(lambda: self.carry_out(self.levels.boot(self.clock.mono())))

    def turn(self) -> None:
        """One round of the main thread: due timers, a scan if it is time, the hooks."""
        now = self.clock.mono()
        self.order(lambda: self.carry_out(self.levels.expire(now)))
        if self.scan.is_due(now):
            self._look(now)
            self.later(self.hooks.scanned, now)
        while self.outbox:
            self.outbox.popleft()()

    async def _run(self) -> None:
        self._is_driven = True
        try:
            while self.ended is None:
                self.turn()
                self._tell_waiters()
                with trio.move_on_after(self._rest_s()):
                    await self._woken.wait()
                self._woken = trio.Event()
            self.turn()
        finally:
            self._is_driven = False
            self._tell_waiters()

    def _rest_s(self) -> float:
        with self.quiet():
            due = self.levels.next_due()
        scan = self.scan.next_due()
        return max(0.0, (scan if due is None else min(scan, due)) - self.clock.mono())

    def _tell_waiters(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

    def wake(self) -> None:
        if self._token is not None:
            with contextlib.suppress(trio.RunFinishedError):
                self._token.run_sync_soon(self._woken_up, idempotent=True)

    def _woken_up(self) -> None:
        self._woken.set()

    # The scan.

    def _look(self, now: float) -> None:
        self.scan.begin(now)
        for handle in self.scan.vanished():
            reason = Reason("vanished", "its thread ended without a word")
            self.order(partial(self.end, handle.id, reason))
        late = self.scan.overdue(now)
        for handle in late:
            self.order(partial(self._judge, handle, now))
        for beat in self.scan.silent(now):
            self.order(partial(self._judge_silence, beat.incarnation, now - beat.due + beat.deadline_s))
        if self._overdue:
            names = {handle.id for handle in late}
            self._overdue = {name: since for name, since in self._overdue.items() if name in names}
        self._expire_asks(now)
        self._count_zombies(now)

    def _judge(self, handle: Handle, now: float) -> None:
        """An overdue actor: replace it, or only shout where a second one beside it would do harm."""
        incarnation, began = handle.incumbent, now - handle.busy_s()
        found = self.levels.find(handle.id)
        if incarnation is None or found is None:
            return
        if found[1].spec.replace_when_hung:
            reason = Reason("hung", f"busy for {now - began:.3f} s", stack=stack_of(incarnation))
            self.end(handle.id, reason, began, now)
        elif handle.id not in self._overdue:
            self._overdue[handle.id] = began
            self._say_overdue(found[1].spec, incarnation)
        elif now - began > DEGRADED_LIMIT_S:
            self._say_must_restart(
                f"{handle.id} has been busy for {now - began:.0f} s and is not replaceable"
            )

    def _judge_silence(self, incarnation: Incarnation, silent_s: float) -> None:
        """A further thread of an actor does not beat: the actor as a whole is hung."""
        if incarnation.home.incumbent is incarnation:
            reason = Reason("hung", f"a thread of it has been silent for {silent_s:.3f} s")
            self.end(incarnation.home.id, reason)

    def _say_overdue(self, spec: ChildSpec, incarnation: Incarnation) -> None:
        reason = Reason("hung", "not replaced beside its own thread", stack=stack_of(incarnation))
        level = self.levels.level_of[spec.id]
        epoch = incarnation.epoch
        self.pass_on(Report("overdue", level, spec.id, epoch, spec.restart, spec.stop_wait_s, reason))

    def _say_must_restart(self, reason: str) -> None:
        if self._must_restart is None:
            self._must_restart = reason
            self.later(self.hooks.must_restart, reason)

    def _expire_asks(self, now: float) -> None:
        for _ in range(len(self.asks)):
            answer = self.asks.popleft()
            if answer.expires_at <= now:
                answer.expire()
            elif not answer.done():
                self.asks.append(answer)

    def _count_zombies(self, now: float) -> None:
        if not self.zombies:
            return
        self.zombies = [zombie for zombie in self.zombies if zombie.is_at_work()]
        for zombie in self.zombies:
            if now - zombie.fenced_at > INTERRUPT_AFTER_S and not zombie.interrupted:
                zombie.interrupted = zombie.home.interrupt(zombie)
        if len(self.zombies) > self._zombie_cap:
            self._say_must_restart(f"{len(self.zombies)} threads were given up and still run")

    # Administration.

    async def add_child(self, level: str, spec: ChildSpec) -> object:
        """Add a child to a running level and wait until it is ready; its start info. Raises Refused."""
        with self.quiet():
            doubles = self._lasting.intersection(names_of(spec))
            if doubles:
                raise Refused(Answered(None, "already_present", min(doubles)))
            self.know(spec)
        try:
            return (await self._ask(level, lambda ticket: StartChild(ticket, spec))).info
        except Refused:
            with self.quiet():
                self.forget(spec)
            raise

    async def add_member(self, pool: str, *args: object) -> str:
        """One more of a pool's template, started with `args`; its id. Raises Refused."""
        return (await self._ask(pool, lambda ticket: StartChild(ticket, args=args))).id or ""

    async def remove_child(self, name: str) -> None:
        """Stop a child, with everything below it, and forget it. Raises Refused."""
        level, spec = self._find(name)
        await self._ask(level, lambda ticket: TerminateChild(ticket, name))
        if self._is_present(name):  # temporary ones are forgotten as soon as they are stopped
            await self._ask(level, lambda ticket: DeleteChild(ticket, name))
        with self.quiet():
            self.forget(spec)

    async def restart(self, name: str) -> None:
        """Stop a child in good order and start it afresh; also one that was given up. Raises Refused."""
        level, _ = self._find(name)
        await self._ask(level, lambda ticket: RecycleChild(ticket, name))

    def kill(self, name: str) -> None:
        """Give an actor up this instant, as a hang would be; its supervisor decides what follows.

        One that must not be doubled is not fenced but made to crash, at the latest after the message in work.
        """
        _, spec = self._find(name)
        if spec.replace_when_hung:
            self.order(partial(self.end, name, Reason("killed", "asked for")))
        else:
            self.crash(name)

    def crash(self, name: str) -> None:
        """Let an actor crash in its own thread (chaos)."""
        self.handle(name).tell(Order(), urgent=True)

    def hang(self, name: str, seconds: float) -> None:
        """Let an actor's thread be deaf for so long (chaos)."""
        self.handle(name).tell(Order(hang_s=seconds), urgent=True)

    def tree(self) -> dict[str, object]:
        """The tree as `actors tree --json` shows it: {id, type, state, epoch, restarts, mailbox, ...}."""
        with self.quiet():
            root = tree(self.levels, self.handles, self.clock.mono())
        built: dict[str, object] = msgspec.to_builtins(root)
        return built

    def uncovered_ms(self, name: str) -> float:
        """How long nobody has served at this address since the tree started, the present gap included."""
        with self.quiet():
            found = self.levels.find(name)
            return 0.0 if found is None else found[1].uncovered_s(self.clock.mono()) * 1000

    def pulse(self) -> Pulse:
        """How the tree is doing, for the heartbeat page; cheap."""
        return pulse(self.scan.count, list(self.handles.values()), self.zombies)

    def _find(self, name: str) -> tuple[str, ChildSpec]:
        with self.quiet():
            found = self.levels.find(name)
        if found is None:
            raise Refused(Answered(None, "not_found", name))
        return found[0].spec.id, found[1].spec

    def _is_present(self, name: str) -> bool:
        with self.quiet():
            return self.levels.find(name) is not None

    async def _ask(self, level: str, make: Callable[[object], Request]) -> Answered:
        ticket: concurrent.futures.Future[Answered] = concurrent.futures.Future()
        self.post(level, make(ticket))
        answered = await outcome(ticket)
        if answered.refused is not None:
            raise Refused(answered)
        return answered


async def outcome[T](future: concurrent.futures.Future[T]) -> T:
    """Wait from trio for an ask or a request: `await outcome(handle.ask(message, 2.0))`."""
    await _settled(future)
    return future.result()


async def answer(handle: Handle, message: object, timeout_s: float) -> object:
    """Ask and wait; raises Unanswered, whatever the actor died of over it."""
    future = handle.ask(message, timeout_s)
    await _settled(future)
    error = future.exception()
    if error is not None:
        raise Unanswered(f"{handle.id} did not answer: {type(error).__name__}") from error
    return future.result()


async def _settled(future: concurrent.futures.Future[object] | concurrent.futures.Future[Any]) -> None:
    done = trio.Event()
    token = trio.lowlevel.current_trio_token()
    future.add_done_callback(partial(set_from_anywhere, token, done))
    await done.wait()


def set_from_anywhere(token: trio.lowlevel.TrioToken, done: trio.Event, _future: object) -> None:
    # The answer may come after its waiter, and all of trio, is gone.
    with contextlib.suppress(trio.RunFinishedError):
        token.run_sync_soon(done.set)


def names_of(spec: ChildSpec) -> Iterator[str]:
    """The child and everything below it."""
    yield spec.id
    for child in spec.supervisor.children if spec.supervisor is not None else ():
        yield from names_of(child)


def stack_of(incarnation: Incarnation) -> str:
    """Where the actor's thread is just now, as text."""
    ident = None if incarnation.thread is None else incarnation.thread.ident
    frame = None if ident is None else sys._current_frames().get(ident)
    return "" if frame is None else "".join(traceback.format_stack(frame))
