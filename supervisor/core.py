"""One level of supervision as a pure state machine: OTP's semantics, and what OTP lacks.

`step(now, input)` returns orders for the driver. There is no thread, no clock and no I/O in here: `now` is an
input, chance is handed in, and the same inputs give the same outputs.

The machine is level-triggered. An input only changes what is true and what is wanted of the children; then
`_settle` orders whatever may happen next, until nothing more may. Ordered work (booting, stopping, a restart
of several children) is the same rule applied to a set: stop what is stale from the last to the first, then
start what is wanted from the first to the last, each when the one before it is done. So a stop during a
restart, a crash during a stop or a failure during either need no plan of their own.

Where this differs from OTP on purpose: failed starts have a back-off and a budget of their own instead of
burning the intensity, stopping never blocks the other children, and an escalation ends in reason `escalated`,
which no restart type takes for a clean exit.
"""

import math
import random
from collections import deque
from collections.abc import Callable
from enum import StrEnum
from typing import Literal, assert_never

from actors.address import Reason
from supervisor.child import Child, State, spend, stamp
from supervisor.child_spec import SupervisorSpec
from supervisor.events import (
    Answered,
    Arm,
    AskStop,
    Boot,
    ChildExited,
    ChildFailed,
    ChildIgnored,
    ChildReady,
    Close,
    Fact,
    Fence,
    Kill,
    LevelEnded,
    LevelFailed,
    LevelReady,
    Output,
    Refusal,
    Report,
    ReportKind,
    Start,
    Stop,
    Timer,
)

KILLED = Reason("killed")
SHUTDOWN = Reason("shutdown")


class Mode(StrEnum):
    """Where the level stands."""

    NEW = "new"
    BOOTING = "booting"
    RUNNING = "running"
    STOPPING = "stopping"
    DOWN = "down"


class Epochs:
    """Counts the lives at each address, over everything that starts there."""

    def __init__(self) -> None:
        self._last: dict[str, int] = {}

    def next(self, name: str) -> int:
        self._last[name] = self._last.get(name, 0) + 1
        return self._last[name]


class Core:
    """One level: its children and what is to become of them."""

    def __init__(self, spec: SupervisorSpec, epochs: Epochs, chance: random.Random) -> None:
        self.spec = spec
        self.mode = Mode.NEW
        self.is_pool = spec.strategy == "simple_one_for_one"
        self.children = {} if self.is_pool else {child.id: Child(child) for child in spec.children}
        self.issued = 0  # members a pool has ever had
        self._epochs = epochs
        self._chance = chance
        self._restarts: deque[float] = deque()
        self.batch: set[str] = set()  # children in an ordered restart
        self._end = SHUTDOWN
        self._boot_failed = False
        self._asked_all = False
        self._retrying: dict[str, Child] = {}
        self.now = 0.0
        self.out: list[Output] = []

    def step(self, now: float, event: Fact) -> list[Output]:
        """Take one fact at instant `now` (monotonic seconds); what is to be done about it, in order."""
        return self.change(now, lambda: self._take(event))

    def change(self, now: float, what: Callable[[], None]) -> list[Output]:
        """Change what is true or wanted, then order whatever follows from it."""
        self.now = now
        what()
        self._settle()
        out, self.out = self.out, []
        return out

    def _take(self, event: Fact) -> None:
        match event:
            case Boot():
                self.mode = Mode.BOOTING
            case ChildReady() | ChildIgnored() | ChildFailed() | ChildExited():
                self._news(event)
            case Timer():
                self._expired(event)
            case Stop():
                self._stop(SHUTDOWN)
            case Kill():
                self._kill_all()
            case _:
                assert_never(event)

    # News of children.

    def _news(self, event: ChildReady | ChildIgnored | ChildFailed | ChildExited) -> None:
        child = self.children.get(event.id)
        if child is None or child.epoch != event.epoch or not child.has_process:
            return
        match event:
            case ChildReady():
                self._ready(child, event.info)
            case ChildIgnored():
                self._ignored(child)
            case ChildFailed():
                self._failed(child, event.reason)
            case ChildExited():
                self._gone(child, event.reason, self.now if event.since is None else event.since)
            case _:
                assert_never(event)

    def _ready(self, child: Child, info: object) -> None:
        if child.state is not State.STARTING:
            return  # asked to stop meanwhile
        child.state = State.RUNNING
        child.ready_at = self.now
        child.is_new = child.insists = False
        if child.down_since is None:
            self._report("started", child)
        else:
            child.restarts += 1
            gap_s = self.now - child.down_since
            child.gaps_s += gap_s
            child.down_since = None
            self._report("restarted", child, uncovered_ms=gap_s * 1000)
        self._answer_start(child, info=info)

    def _ignored(self, child: Child) -> None:
        if child.state is State.STOPPING:
            self._gone(child, SHUTDOWN, self.now)
            return
        child.state = State.STOPPED
        child.wanted = False
        self._answer_start(child)
        self.out.append(Close(child.spec.id, "there is nothing to do for it"))
        if self.is_pool or child.spec.restart == "temporary":
            self.forget(child)

    def _failed(self, child: Child, reason: Reason) -> None:
        if child.state is State.STOPPING or self.mode is Mode.STOPPING:
            self._gone(child, reason, self.now)
            return
        child.state = State.STOPPED
        self._report("start_failed" if child.down_since is None else "restart_failed", child, reason)
        asked, child.request = child.request, None
        if asked is not None:
            self.out.append(Answered(asked, "start_failed", child.spec.id, reason=reason))
        if asked is not None and not child.insists:
            self.lay_down(child, reason.describe())
        elif self.mode is Mode.BOOTING and child.down_since is None:
            self._boot_failed = True
            where = f"{child.spec.id}: {reason.text}" if reason.text else child.spec.id
            self._stop(Reason(reason.kind, where, reason.error))
        elif spend(child.failures, self.now, child.spec.failed_starts):
            self._give_up(child, reason)
        else:
            self._schedule(child)

    def _gone(self, child: Child, reason: Reason, since: float) -> None:
        asked = child.state is State.STOPPING
        was_starting = child.state is State.STARTING
        bystander = child.stale
        child.state = State.STOPPED
        child.stale = False
        self._report("exited", child, reason, expected=asked or self.mode is Mode.STOPPING)
        if child.down_since is None:
            child.down_since = since
        if self.mode is Mode.STOPPING:
            self.lay_down(child, "shut down")
        elif bystander and child.spec.restart != "temporary":
            child.not_before = self.now
        elif asked or bystander:
            self._stopped_as_asked(child)
        elif was_starting:
            self._failed(child, reason)
        else:
            self._exited(child, reason)

    def _stopped_as_asked(self, child: Child) -> None:
        recycled = child.wanted and (child.spec.restart != "temporary" or child.request is not None)
        if recycled:
            self.retry(child)
        else:
            self.lay_down(child, "stopped")

    def _exited(self, child: Child, reason: Reason) -> None:
        """A running child ended by itself."""
        restart = child.spec.restart
        if restart == "permanent" or (restart == "transient" and not reason.is_clean):
            if self.now - child.ready_at >= child.spec.backoff.reset_after_s:
                child.streak = 0
            self._restart(child, reason)
            return
        significant = child.spec.significant
        self.lay_down(child, reason.describe())
        if significant:
            self._maybe_auto_shutdown()

    # Restarting and giving up.

    def _restart(self, child: Child, reason: Reason) -> None:
        crashes = child.spec.crashes
        if crashes == "supervisor":
            if stamp(self._restarts, self.now, self.spec.period_s) > self.spec.intensity:
                self._escalate(child, reason)
                return
        elif spend(child.crashes, self.now, crashes):
            self._give_up(child, reason)
            return
        self._schedule(child)

    def _schedule(self, child: Child) -> None:
        delay_s = child.spec.backoff.delay(child.streak, self._chance.random())
        child.streak += 1
        self.retry(child, delay_s)
        if self.spec.strategy in ("one_for_all", "rest_for_one"):
            self._widen_batch(child)

    def _widen_batch(self, child: Child) -> None:
        """Take the siblings that depend on `child` into an ordered restart."""
        ids = list(self.children)
        first = ids.index(child.spec.id) if self.spec.strategy == "rest_for_one" else 0
        self.batch.update(ids[first:])
        for name in ids[first:]:
            sibling = self.children[name]
            sibling.stale = sibling.has_process

    def _give_up(self, child: Child, reason: Reason) -> None:
        if child.spec.stance == "escalate" or child.spec.crashes == "supervisor":
            self._escalate(child, reason)
            return
        child.state = State.GIVEN_UP
        child.wanted = False
        self._report("gave_up", child, reason)
        self.refuse_waiting(child, "start_failed", reason)
        self.out.append(Close(child.spec.id, f"given up: {reason.describe()}"))

    def _escalate(self, child: Child, reason: Reason) -> None:
        end = Reason("escalated", f"{child.spec.id} kept failing: {reason.describe()}")
        self._report("escalated", child, end)
        self._stop(end)

    def _maybe_auto_shutdown(self) -> None:
        left = [child for child in self.children.values() if child.spec.significant and child.wanted]
        mode = self.spec.auto_shutdown
        if mode == "any_significant" or (mode == "all_significant" and not left):
            self._stop(SHUTDOWN)

    # Timers, and the end of the level.

    def _expired(self, timer: Timer) -> None:
        child = self.children.get(timer.id)
        if child is None or child.epoch != timer.epoch:
            return
        if timer.kind == "stop" and child.state is State.STOPPING:
            self._kill(child, KILLED)
        elif timer.kind == "start" and child.state is State.STARTING:
            reason = Reason("start_timeout", f"not ready within {child.spec.start_wait_s} s")
            self.out.append(Fence(timer.id, timer.epoch, reason))
            self._failed(child, reason)

    def _stop(self, reason: Reason) -> None:
        if self.mode in (Mode.STOPPING, Mode.DOWN):
            return
        self.mode = Mode.STOPPING
        self._end = reason
        for child in list(self.children.values()):
            self.refuse_waiting(child, "stopping", reason)
            if not child.has_process and child.state is not State.STOPPED:
                self.lay_down(child, "shut down")

    def _kill_all(self) -> None:
        self._stop(KILLED)
        for child in list(self.children.values()):
            if child.has_process:
                self._kill(child, KILLED)

    def _kill(self, child: Child, reason: Reason) -> None:
        self.out.append(Fence(child.spec.id, child.epoch, reason))
        self._gone(child, reason, self.now)

    # What may happen next.

    def _settle(self) -> None:
        match self.mode:
            case Mode.BOOTING:
                if self._tear_down() and self._bring_up(list(self.children)):
                    self.mode = Mode.RUNNING
                    self.batch.clear()
                    self.out.append(LevelReady())
            case Mode.RUNNING:
                if self.batch and self._tear_down():
                    members = [name for name in self.children if name in self.batch]
                    if self._bring_up(members):
                        self.batch.clear()
                self._start_due()
            case Mode.STOPPING:
                if self._tear_down():
                    self.mode = Mode.DOWN
                    end = self._end
                    self.out.append(LevelFailed(end) if self._boot_failed else LevelEnded(end))
            case Mode.NEW | Mode.DOWN:
                pass
            case _:
                assert_never(self.mode)

    def _tear_down(self) -> bool:
        """Stop what must go, the last first, each when its successor is gone; True when nothing is left."""
        everything = self.mode is Mode.STOPPING
        if self.is_pool:
            return not everything or self._tear_down_at_once()
        for child in reversed(list(self.children.values())):
            if not (child.has_process and (everything or child.stale)):
                continue
            if child.state is not State.STOPPING:
                self.ask_stop(child)
            if child.has_process:
                return False
        return True

    def _tear_down_at_once(self) -> bool:
        """Members of a pool do not depend on each other: all are asked together."""
        if not self._asked_all:
            self._asked_all = True
            for child in list(self.children.values()):
                if child.has_process and child.state is not State.STOPPING:
                    self.ask_stop(child)
        return not any(child.has_process for child in self.children.values())

    def _bring_up(self, names: list[str]) -> bool:
        """Start what is wanted, the first first, each when its predecessor is ready; True when all are."""
        members = [child for name in names if (child := self.children[name]).wanted]
        gate = max((child.not_before for child in members), default=-math.inf)
        for child in members:
            if child.state is State.RUNNING:
                continue
            if not child.has_process and self.now >= gate:
                self.begin(child)
            return False
        return True

    def _start_due(self) -> None:
        """Start what waits for its back-off alone, and has waited long enough."""
        for name, child in list(self._retrying.items()):
            if child.state is not State.RESTARTING:
                del self._retrying[name]
            elif self.now >= child.not_before and name not in self.batch:
                del self._retrying[name]
                self.begin(child)

    def retry(self, child: Child, delay_s: float = 0.0) -> None:
        """Start the child again after `delay_s`."""
        child.state = State.RESTARTING
        child.not_before = self.now + delay_s
        self._retrying[child.spec.id] = child
        if delay_s > 0:
            self._arm(child, "retry", delay_s)

    def begin(self, child: Child) -> None:
        child.epoch = self._epochs.next(child.spec.id)
        child.state = State.STARTING
        child.stale = False
        self.out.append(Start(child.spec.id, child.epoch, child.spec))
        self._arm(child, "start", child.spec.start_wait_s)

    def ask_stop(self, child: Child) -> None:
        if child.spec.shutdown_s == "brutal":
            child.state = State.STOPPING
            self._kill(child, KILLED)
            return
        child.state = State.STOPPING
        self.out.append(AskStop(child.spec.id, child.epoch, self.mode is Mode.STOPPING))
        self._arm(child, "stop", child.spec.stop_wait_s)

    def _arm(self, child: Child, kind: Literal["start", "stop", "retry"], wait_s: float) -> None:
        if wait_s < math.inf:
            self.out.append(Arm(self.now + wait_s, Timer(kind, child.spec.id, child.epoch)))

    def lay_down(self, child: Child, why: str) -> None:
        """The child stays down until somebody asks for it."""
        child.state = State.STOPPED
        child.wanted = False
        for request in child.stop_requests:
            self.out.append(Answered(request, id=child.spec.id))
        child.stop_requests.clear()
        self.refuse_waiting(child, "terminated", None)
        if self.mode is not Mode.STOPPING:  # else it is for the parent to say whether the level comes back
            self.out.append(Close(child.spec.id, why))
        if self.is_pool or child.is_new or child.spec.restart == "temporary":
            self.forget(child)

    def forget(self, child: Child) -> None:
        self.children.pop(child.spec.id, None)
        self.batch.discard(child.spec.id)

    # Answers and reports.

    def _answer_start(self, child: Child, info: object = None) -> None:
        request, child.request = child.request, None
        if request is not None:
            self.out.append(Answered(request, id=child.spec.id, info=info))

    def refuse_waiting(self, child: Child, refusal: Refusal, reason: Reason | None) -> None:
        request, child.request = child.request, None
        if request is not None:
            self.out.append(Answered(request, refusal, child.spec.id, reason=reason))

    def _report(
        self,
        kind: ReportKind,
        child: Child,
        reason: Reason | None = None,
        *,
        expected: bool = False,
        uncovered_ms: float | None = None,
    ) -> None:
        spec = child.spec
        self.out.append(
            Report(
                kind,
                self.spec.id,
                spec.id,
                child.epoch,
                spec.restart,
                spec.stop_wait_s,
                reason=reason,
                expected=expected,
                uncovered_ms=uncovered_ms,
            )
        )
