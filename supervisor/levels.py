"""A tree of supervision levels as one pure machine: passes news up and orders down, and keeps the timers.

What is left for the driver concerns actors only: start, ask to stop, fence, close; plus the answers, the
reports and the fate of the root.
"""

import heapq
import random
from collections import deque
from collections.abc import Iterator
from itertools import count

from supervisor.administration import administer
from supervisor.child import Child
from supervisor.child_spec import ChildSpec, SupervisorSpec
from supervisor.core import Core, Epochs
from supervisor.events import (
    Answered,
    Arm,
    AskStop,
    Boot,
    ChildExited,
    ChildFailed,
    ChildReady,
    Close,
    Fence,
    Input,
    Kill,
    LevelEnded,
    LevelFailed,
    LevelReady,
    Output,
    Report,
    Request,
    Start,
    Stop,
    Timer,
)

Effect = Start | AskStop | Fence | Close | Answered | Report | LevelReady | LevelFailed | LevelEnded


class Levels:
    """The whole tree below `root`. `step` and `expire` return what the driver has to do, in order."""

    def __init__(self, root: SupervisorSpec, chance: random.Random) -> None:
        self.root = root
        self.cores: dict[str, Core] = {}
        self.level_of: dict[str, str] = {}  # every actor ever started -> its level
        self._epochs = Epochs()
        self._chance = chance
        self._parent: dict[str, tuple[str, int]] = {}  # level -> its parent level and its epoch there
        self._timers: list[tuple[float, int, str, Timer]] = []
        self._order = count()
        self._queue: deque[tuple[str, Input]] = deque()

    def boot(self, now: float) -> list[Effect]:
        self.cores[self.root.id] = Core(self.root, self._epochs, self._chance)
        return self.step(now, self.root.id, Boot())

    def step(self, now: float, level: str, event: Input) -> list[Effect]:
        """Take one input for one level at instant `now`."""
        effects: list[Effect] = []
        self._queue.append((level, event))
        while self._queue:
            level, event = self._queue.popleft()
            core = self.cores.get(level)
            if core is not None:
                for output in self._ask(core, now, event):
                    self._route(now, core, output, effects)
            elif isinstance(event, Request):
                effects.append(Answered(event.request, "dead"))
        return effects

    def _ask(self, core: Core, now: float, event: Input) -> list[Output]:
        return administer(core, now, event) if isinstance(event, Request) else core.step(now, event)

    def expire(self, now: float) -> list[Effect]:
        """Hand in every timer that is due."""
        effects: list[Effect] = []
        while self._timers and self._timers[0][0] <= now:
            _, _, level, timer = heapq.heappop(self._timers)
            effects.extend(self.step(now, level, timer))
        return effects

    def next_due(self) -> float | None:
        """When `expire` is to be called next."""
        return self._timers[0][0] if self._timers else None

    def find(self, name: str) -> tuple[Core, Child] | None:
        """The child of that id and the level it belongs to."""
        for core in self.cores.values():
            child = core.children.get(name)
            if child is not None:
                return core, child
        return None

    def _route(self, now: float, core: Core, output: Output, effects: list[Effect]) -> None:
        level = core.spec.id
        match output:
            case Arm(at, timer):
                heapq.heappush(self._timers, (at, next(self._order), level, timer))
            case Start(spec=ChildSpec(supervisor=SupervisorSpec() as spec)):
                self._open(level, output.epoch, spec, effects)
            case Start(id=name):
                self.level_of[name] = level
                effects.append(output)
            case AskStop(id=name) if name in self.cores:
                self._queue.append((name, Stop()))
            case Fence(id=name) if name in self.cores:
                self._kill(now, name, effects)
            case Close(id=name, why=why):
                self._close(name, why, effects)
            case LevelReady() | LevelFailed() | LevelEnded():
                self._report_up(core, output, effects)
            case _:
                effects.append(output)

    def _kill(self, now: float, name: str, effects: list[Effect]) -> None:
        """The parent has given a sub-tree up: nothing of it may live on or be heard of again."""
        core = self.cores.pop(name)
        for output in core.step(now, Kill()):
            if not isinstance(output, LevelEnded | LevelFailed):
                self._route(now, core, output, effects)

    def _report_up(
        self, core: Core, output: LevelReady | LevelFailed | LevelEnded, effects: list[Effect]
    ) -> None:
        name = core.spec.id
        if not isinstance(output, LevelReady):
            self.cores.pop(name, None)
        if name not in self._parent:
            effects.append(output)
            return
        parent, epoch = self._parent[name]
        match output:
            case LevelReady():
                self._queue.append((parent, ChildReady(name, epoch)))
            case LevelFailed(reason):
                self._queue.append((parent, ChildFailed(name, epoch, reason)))
            case LevelEnded(reason):
                self._queue.append((parent, ChildExited(name, epoch, reason)))

    def _open(self, level: str, epoch: int, spec: SupervisorSpec, effects: list[Effect]) -> None:
        """A sub-tree starts, from its spec alone: what was added to an earlier life of it is gone."""
        self._parent[spec.id] = (level, epoch)
        self.cores[spec.id] = Core(spec, self._epochs, self._chance)
        planned = set(workers_of(spec))
        for name in self._workers_below(spec.id):
            if name not in planned:
                self._close(name, "not started again with its level", effects)
        self._queue.append((spec.id, Boot()))

    def _close(self, name: str, why: str, effects: list[Effect]) -> None:
        for worker in self._workers_below(name) if name in self._parent else [name]:
            self.level_of.pop(worker, None)
            effects.append(Close(worker, why))

    def _workers_below(self, level: str) -> list[str]:
        return [worker for worker, home in self.level_of.items() if level in self._line(home)]

    def _line(self, level: str) -> Iterator[str]:
        """The level and those above it."""
        while True:
            yield level
            if level not in self._parent:
                return
            level = self._parent[level][0]


def workers_of(spec: SupervisorSpec) -> Iterator[str]:
    """Every actor a level starts by itself."""
    for child in spec.children if spec.strategy != "simple_one_for_one" else ():
        if child.supervisor is None:
            yield child.id
        else:
            yield from workers_of(child.supervisor)
