"""What a level knows of one child: where it stands, what is wanted of it, and what it has used up."""

import math
from collections import deque
from enum import StrEnum

from supervisor.child_spec import Budget, ChildSpec


class State(StrEnum):
    """Where a child stands."""

    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    RESTARTING = "restarting"
    """Between two lives: backing off, or about to start."""
    STOPPED = "stopped"
    GIVEN_UP = "given_up"


class Child:
    """One child and its history. Instants are monotonic seconds."""

    def __init__(self, spec: ChildSpec, *, is_new: bool = False) -> None:
        self.spec = spec
        self.state = State.STOPPED
        self.epoch = 0
        self.wanted = True
        self.stale = False
        """To be stopped because a sibling it depends on went down."""
        self.is_new = is_new
        """Added at run time and never ready yet: forgotten if it cannot be started."""
        self.insists = False
        """A failing start is retried although an operator asked for it."""
        self.request: object | None = None
        """Who waits for it to be ready."""
        self.stop_requests: list[object] = []
        self.restarts = 0
        self.streak = 0
        """Restarts since the last stable time."""
        self.ready_at = 0.0
        self.not_before = -math.inf
        self.down_since: float | None = None
        self.gaps_s = 0.0
        """Time uncovered in gaps that are over."""
        self.crashes: deque[float] = deque()
        self.failures: deque[float] = deque()

    @property
    def has_process(self) -> bool:
        return self.state in (State.STARTING, State.RUNNING, State.STOPPING)

    def uncovered_s(self, now: float) -> float:
        """Seconds without a serving incarnation so far, the present gap included."""
        return self.gaps_s + (0.0 if self.down_since is None else now - self.down_since)

    def clear_budgets(self) -> None:
        """An operator wants it: what happened before does not count any more."""
        self.crashes.clear()
        self.failures.clear()
        self.streak = 0


def stamp(stamps: deque[float], now: float, period_s: float) -> int:
    """Note one more at `now`; how many fall into the last `period_s`, its first instant included."""
    stamps.append(now)
    while now - stamps[0] > period_s:
        stamps.popleft()
    return len(stamps)


def spend(stamps: deque[float], now: float, budget: Budget | str) -> bool:
    """Note one more at `now`; True when that is one too many."""
    return isinstance(budget, Budget) and stamp(stamps, now, budget.period_s) >= budget.limit
