"""A world of made-up actors around the pure levels: virtual time, scripted births and deaths, no threads."""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Callable, Iterable
from itertools import count

from actors.address import Reason
from actors.worker import Actor
from supervisor.child import State
from supervisor.child_spec import Backoff, ChildSpec, SupervisorSpec
from supervisor.core import Mode
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
    RestartChild,
    Start,
    StartChild,
    Stop,
    TerminateChild,
)
from supervisor.levels import Effect, Levels

CRASH = Reason("crash", error=ValueError("boom"))
NORMAL = Reason("normal")
SHUTDOWN = Reason("shutdown")
SHUTDOWN_X = Reason("shutdown", "x")
KILLED = Reason("killed")
REASONS = {
    "normal": NORMAL,
    "shutdown": SHUTDOWN,
    "shutdown(x)": SHUTDOWN_X,
    "crash": CRASH,
    "killed": KILLED,
}
NO_DELAY = Backoff(min_s=0, max_s=0)


def nobody(kept: object | None, *args: object) -> Actor:
    """The factory of actors that are only talked about."""
    raise AssertionError("no actor is built in this world")


def worker(name: str, **terms: object) -> ChildSpec:
    """A child that counts against its level, without back-off: OTP's own rules."""
    return ChildSpec(
        **{
            "id": name,
            "factory": nobody,
            "crashes": "supervisor",
            "backoff": NO_DELAY,
            "shutdown_s": 5.0,
            **terms,
        }  # type: ignore[arg-type]
    )


def level(name: str, *children: ChildSpec, **terms: object) -> SupervisorSpec:
    return SupervisorSpec(**{"id": name, "children": children, "intensity": 1_000, "period_s": 10.0, **terms})  # type: ignore[arg-type]


class World:
    """Runs `root` on virtual time. Script it with `births` and `stops`, look at `log` and `reports`."""

    def __init__(self, root: SupervisorSpec, *, seed: int = 0) -> None:
        self.levels = Levels(root, random.Random(seed))
        self.now = 0.0
        self.live: dict[str, int] = {}
        """Id and epoch of every actor that is up or coming up."""
        self.log: list[str] = []
        """+ started, - asked to stop, ! fenced, x ended by itself."""
        self.started_at: dict[str, list[float]] = {}
        self.reports: list[Report] = []
        self.closed: dict[str, str] = {}
        self.outcome: LevelReady | LevelFailed | LevelEnded | None = None
        self.births: dict[str, list[str] | str] = {}
        """Per id how its starts end: ready, ignore, fail, hang; a list is used up, its last entry stays."""
        self.stops: dict[str, float] = {}
        """Per id how long it takes to obey; infinity never does."""
        self.last_words: dict[str, Reason] = {}
        """Per id the reason it ends with when it is asked to stop."""
        self.info: dict[str, object] = {}
        self.specs: dict[str, ChildSpec] = {}
        self.answers: dict[object, Answered] = {}
        """By ticket, in the order they were given."""
        self._tickets = count()
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()

    # What happens from outside.

    def boot(self) -> World:
        self._do(self.levels.boot(self.now))
        self._run(self.now)
        return self

    def stop(self) -> None:
        self.tell(self.levels.root.id, Stop())

    def tell(self, name: str, event: Input) -> None:
        self._do(self.levels.step(self.now, name, event))
        self._run(self.now)

    def tell_both(self, name: str, first: Input, second: Input) -> None:
        """Two inputs at once, nothing in between."""
        self._do(self.levels.step(self.now, name, first))
        self.tell(name, second)

    def wait(self, seconds: float) -> None:
        """Let time pass, with everything that falls due in it, in order."""
        self._run(self.now + seconds)

    def die(self, name: str, reason: Reason = CRASH) -> None:
        """The actor ends by itself."""
        epoch = self.live.pop(name)
        self.log.append(f"x {name}")
        self.tell(self.levels.level_of[name], ChildExited(name, epoch, reason))

    def start_child(self, parent: str, spec: ChildSpec | None = None, *args: object) -> Answered | None:
        return self.ask(parent, lambda ticket: StartChild(ticket, spec, args))

    def terminate(self, parent: str, name: str) -> Answered | None:
        return self.ask(parent, lambda ticket: TerminateChild(ticket, name))

    def restart(self, parent: str, name: str) -> Answered | None:
        return self.ask(parent, lambda ticket: RestartChild(ticket, name))

    def delete(self, parent: str, name: str) -> Answered | None:
        return self.ask(parent, lambda ticket: DeleteChild(ticket, name))

    def recycle(self, parent: str, name: str) -> Answered | None:
        return self.ask(parent, lambda ticket: RecycleChild(ticket, name))

    def ask(self, parent: str, make: Callable[[object], Input]) -> Answered | None:
        """Make a request; its answer if that came without time passing."""
        ticket = next(self._tickets)
        self.tell(parent, make(ticket))
        return self.answers.get(ticket)

    # What there is to see.

    @property
    def last_answer(self) -> Answered:
        return list(self.answers.values())[-1]

    def states(self, parent: str = "root") -> dict[str, str]:
        return {name: str(child.state) for name, child in self.levels.cores[parent].children.items()}

    def is_up(self, name: str = "root") -> bool:
        core = self.levels.cores.get(name)
        return core is not None and core.mode is Mode.RUNNING

    def epochs(self) -> dict[str, int]:
        return dict(self.live)

    def counts(self, parent: str = "root") -> dict[str, int]:
        children = self.levels.cores[parent].children.values()
        return {
            "specs": len(children),
            "active": sum(
                child.state in (State.RUNNING, State.STARTING, State.STOPPING) for child in children
            ),
            "supervisors": sum(child.spec.type == "supervisor" for child in children),
            "workers": sum(child.spec.type == "worker" for child in children),
        }

    def kinds(self, *names: str) -> list[str]:
        return [report.kind for report in self.reports if not names or report.id in names]

    # Inside.

    def _run(self, until: float) -> None:
        while True:
            due = [
                entry
                for entry in (self.levels.next_due(), self._agenda[0][0] if self._agenda else None)
                if entry is not None
            ]
            when = min(due, default=math.inf)
            if when > until:
                break
            self.now = max(self.now, when)
            if self._agenda and self._agenda[0][0] <= when:
                heapq.heappop(self._agenda)[2]()
            else:
                self._do(self.levels.expire(self.now))
        self.now = max(self.now, until)

    def _later(self, delay_s: float, what: Callable[[], None]) -> None:
        heapq.heappush(self._agenda, (self.now + delay_s, next(self._order), what))

    def _do(self, effects: Iterable[Effect]) -> None:
        for effect in effects:
            match effect:
                case Start():
                    self._birth(effect)
                case AskStop(id=name, epoch=epoch):
                    self.log.append(f"- {name}")
                    if self.stops.get(name, 0.0) < math.inf:
                        self._later(self.stops.get(name, 0.0), lambda n=name, e=epoch: self._obey(n, e))
                case Fence(id=name):
                    self.log.append(f"! {name}")
                    self.live.pop(name, None)
                case Close(id=name, why=why):
                    self.closed[name] = why
                case Answered(request=request):
                    assert request not in self.answers, "answered twice"
                    self.answers[request] = effect
                case Report():
                    self.reports.append(effect)
                case LevelReady() | LevelFailed() | LevelEnded():
                    self.outcome = effect

    def _birth(self, start: Start) -> None:
        name, epoch = start.id, start.epoch
        assert name not in self.live, f"{name} started beside itself"
        self.live[name] = epoch
        self.specs[name] = start.spec
        self.closed.pop(name, None)
        self.log.append(f"+ {name}")
        self.started_at.setdefault(name, []).append(self.now)
        how = self.births.get(name, "ready")
        if isinstance(how, list):
            how = how.pop(0) if len(how) > 1 else how[0]
        if how != "hang":
            self._later(0.0, lambda: self._born(name, epoch, how))

    def _born(self, name: str, epoch: int, how: str) -> None:
        if self.live.get(name) != epoch:
            return
        home = self.levels.level_of[name]
        if how == "ready":
            self._do(self.levels.step(self.now, home, ChildReady(name, epoch, self.info.get(name))))
            return
        del self.live[name]
        if how == "ignore":
            self._do(self.levels.step(self.now, home, ChildIgnored(name, epoch)))
        else:
            reason = Reason("start_failed", error=OSError(how))
            self._do(self.levels.step(self.now, home, ChildFailed(name, epoch, reason)))

    def _obey(self, name: str, epoch: int) -> None:
        if self.live.get(name) != epoch:
            return
        del self.live[name]
        reason = self.last_words.get(name, SHUTDOWN)
        self._do(self.levels.step(self.now, self.levels.level_of[name], ChildExited(name, epoch, reason)))
