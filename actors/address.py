"""Sending: addresses, what lies in a mailbox, the outcome of an ask, and why an actor ended."""

import concurrent.futures
import contextlib
import traceback
from collections.abc import Callable, Hashable
from typing import Literal, Protocol

import msgspec

from config.errors import WeMustAct

ReasonKind = Literal[
    "normal",
    "shutdown",
    "crash",
    "killed",
    "hung",
    "vanished",
    "start_failed",
    "start_timeout",
    "escalated",
    "noproc",
]
Lane = Literal["control", "normal", "latest", "left"]


class Reason(msgspec.Struct, frozen=True):
    """Why an actor, or a whole level of them, ended."""

    kind: ReasonKind
    text: str = ""
    error: BaseException | None = None
    stack: str = ""  # where a hung thread was

    @property
    def is_clean(self) -> bool:
        """Ended because it was done or was asked to. An escalation never counts as that."""
        return self.kind in ("normal", "shutdown")

    def describe(self) -> str:
        """One line for people: the kind, and the text and error behind it."""
        parts = [self.kind, " ".join(self.text.split())]
        if self.error is not None:
            # Formats even an exception whose own __str__ fails.
            parts.append(" ".join("".join(traceback.format_exception_only(self.error)).split()))
        return ": ".join(part for part in parts if part)


class ActorDied(WeMustAct):
    """An ask could not be answered: its actor crashed, hung, was stopped, or nobody is there."""


class Answer(concurrent.futures.Future[object]):
    """The outcome of an ask. It always resolves: a value, the actor's error, ActorDied or TimeoutError.

    `expires_at` is an instant of the clock whose `mono` it is given; whoever waits for the result waits no
    longer than that, and the supervisor's scan ends it for those who do not wait.
    """

    def __init__(self, target: str, expires_at: float, mono: Callable[[], float]) -> None:
        super().__init__()
        self.target = target
        self.expires_at = expires_at
        self._mono = mono

    def result(self, timeout: float | None = None) -> object:
        self._await(timeout)
        return super().result(0)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        self._await(timeout)
        return super().exception(0)

    def resolve(self, value: object) -> None:
        """Answer; too late or a second time is discarded."""
        with contextlib.suppress(concurrent.futures.InvalidStateError):
            self.set_result(value)

    def fail(self, error: BaseException) -> None:
        """Answer with an error; too late or a second time is discarded."""
        with contextlib.suppress(concurrent.futures.InvalidStateError):
            self.set_exception(error)

    def expire(self) -> None:
        self.fail(TimeoutError(f"cannot get an answer from {self.target}: no reply in time"))

    def _await(self, timeout: float | None) -> None:
        left = max(0.0, self.expires_at - self._mono())
        concurrent.futures.wait([self], left if timeout is None else min(timeout, left))
        if not self.done() and (timeout is None or timeout >= left):
            self.expire()


class Envelope(msgspec.Struct, frozen=True, gc=False):
    """A message in a mailbox: when it came (clock seconds), which lane, who asked, which attempt this is."""

    message: object
    at: float
    lane: Lane = "normal"
    attempt: int = 1
    answer: Answer | None = None
    key: Hashable = None
    quiet: bool = False
    """Left without waking anybody."""


class Down(msgspec.Struct, frozen=True):
    """What a watcher is told, once: that incarnation at `id` is over. `noproc`: nobody was there to watch."""

    id: str
    watch: int
    reason: Reason


class Address(Protocol):
    """Where to send: stays the same over crashes and restarts of whoever listens there."""

    @property
    def id(self) -> str: ...

    def tell(self, message: object, *, urgent: bool = False) -> None:
        """Queue a message. Never raises, never blocks; `urgent` overtakes everything that is not."""
        ...

    def tell_latest(self, key: Hashable, message: object) -> None:
        """Queue a message of which only the newest per `key` matters (quotes)."""
        ...

    def leave(self, message: object) -> None:
        """Queue a message, in its turn, without waking anybody: for one whom something else wakes soon."""
        ...

    def leave_latest(self, key: Hashable, message: object) -> None:
        """As `leave`, where only the newest per `key` matters; it comes before what is queued in turn."""
        ...

    def rouse(self) -> None:
        """Have what was left looked at now."""
        ...

    def ask(self, message: object, timeout_s: float) -> Answer:
        """Queue a question. For the control plane only: no actor ever waits for another."""
        ...
