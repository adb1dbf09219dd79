"""What goes into one level of supervision and what comes out of it. Read before `core`.

Inputs are facts and requests, outputs are orders for the driver. Both name a child by id and, where a life of
it is meant, by epoch: news from a life that is over is ignored.
"""

from typing import Literal

import msgspec

from actors.address import Reason
from supervisor.child_spec import ChildSpec


class Event(msgspec.Struct, frozen=True):
    """Base of everything here: compared by value, never changed."""


# In: facts about the level and its children.


class Boot(Event, frozen=True):
    """Start the children in order."""


class ChildReady(Event, frozen=True):
    """The child is initialised and serves; `info` is what its start handed back."""

    id: str
    epoch: int
    info: object = None


class ChildIgnored(Event, frozen=True):
    """The child says there is nothing to do for it."""

    id: str
    epoch: int


class ChildFailed(Event, frozen=True):
    """The child could not be initialised, and is gone."""

    id: str
    epoch: int
    reason: Reason


class ChildExited(Event, frozen=True):
    """The child had been serving and is gone. `since`: from when on nobody served (a hang starts early)."""

    id: str
    epoch: int
    reason: Reason
    since: float | None = None


class Timer(Event, frozen=True):
    """An armed timer is due. `retry` only says: look again."""

    kind: Literal["start", "stop", "retry"]
    id: str
    epoch: int


class Stop(Event, frozen=True):
    """Stop the children in reverse order, then the level."""


class Kill(Event, frozen=True):
    """The level is given up by its parent: fence everything, at once, without last words."""


# In: requests of the administration. `request` comes back in the Answered.


class StartChild(Event, frozen=True):
    """Add a child and start it; in a pool: one more of the template, with `args`."""

    request: object
    spec: ChildSpec | None = None
    args: tuple[object, ...] = ()


class TerminateChild(Event, frozen=True):
    """Stop a child and leave it stopped; asked twice is no error."""

    request: object
    id: str


class RestartChild(Event, frozen=True):
    """Start a stopped child again."""

    request: object
    id: str


class DeleteChild(Event, frozen=True):
    """Forget a stopped child."""

    request: object
    id: str


class RecycleChild(Event, frozen=True):
    """Stop a child in good order and start it afresh, whatever state it is in; clears its budgets."""

    request: object
    id: str


Request = StartChild | TerminateChild | RestartChild | DeleteChild | RecycleChild
Fact = Boot | ChildReady | ChildIgnored | ChildFailed | ChildExited | Timer | Stop | Kill
Input = Fact | Request

# Out.


class Start(Event, frozen=True):
    """Start this life of the child."""

    id: str
    epoch: int
    spec: ChildSpec


class AskStop(Event, frozen=True):
    """Ask the child to end. `final`: the whole level ends, so what is queued may be worked off first."""

    id: str
    epoch: int
    final: bool


class Fence(Event, frozen=True):
    """Give this life up: it counts as ended from now on, whatever its thread still does."""

    id: str
    epoch: int
    reason: Reason


class Close(Event, frozen=True):
    """Nobody will come back to this address by itself."""

    id: str
    why: str


class Arm(Event, frozen=True):
    """Hand `timer` in at instant `at` (monotonic seconds)."""

    at: float
    timer: Timer


Refusal = Literal[
    "already_started",
    "already_present",
    "not_found",
    "running",
    "restarting",
    "start_failed",
    "terminated",
    "simple_one_for_one",
    "bad_spec",
    "stopping",
    "dead",
]


class Answered(Event, frozen=True):
    """The outcome of a request: `refused` is None on success, `id` and `info` are the child's."""

    request: object
    refused: Refusal | None = None
    id: str | None = None
    info: object = None
    reason: Reason | None = None


ReportKind = Literal[
    "started",
    "exited",
    "restarted",
    "start_failed",
    "restart_failed",
    "gave_up",
    "escalated",
    "ended",
    "overdue",
]


class Report(Event, frozen=True):
    """Something the operator may want to know, with fixed fields.

    `uncovered_ms`: how long nobody served at this address. `expected`: it had been asked for. `text`: the
    stack of a hung handler. `suppressed`: reports on this child left out since the last one.
    """

    kind: ReportKind
    supervisor: str
    id: str
    epoch: int
    restart: str
    shutdown_s: float
    reason: Reason | None = None
    expected: bool = False
    uncovered_ms: float | None = None
    suppressed: int = 0

    def line(self, limit: int = 300) -> str:
        """One line of ASCII for the log, cut at `limit` characters."""
        parts = [
            f"{self.kind} {self.id}#{self.epoch}",
            f"supervisor={self.supervisor}",
            f"restart={self.restart}",
        ]
        if self.reason is not None:
            parts.append(f"reason={self.reason.describe()}")
        if self.uncovered_ms is not None:
            parts.append(f"uncovered_ms={self.uncovered_ms:.1f}")
        if self.suppressed:
            parts.append(f"suppressed={self.suppressed}")
        plain = " ".join(" ".join(parts).split()).encode("ascii", "replace").decode()
        return plain if len(plain) <= limit else plain[: max(0, limit - 3)] + "..."


class LevelReady(Event, frozen=True):
    """All children were started."""


class LevelFailed(Event, frozen=True):
    """A child could not be started at first; those before it were stopped again."""

    reason: Reason


class LevelEnded(Event, frozen=True):
    """No child is left; `reason` is `shutdown` when it was asked for, `escalated` when it gave up."""

    reason: Reason


Output = Start | AskStop | Fence | Close | Arm | Answered | Report | LevelReady | LevelFailed | LevelEnded
