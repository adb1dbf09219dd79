"""Where one run of the guard is: starting, guarding or ending, and why it ends."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Protocol, assert_never

import trio
from msgspec import Struct

from actors.clock import Clock
from actors.connection.link import NOT_TRIED, LinkView
from actors.logs import get_logger
from actors.messages import LinkState
from supervisor.phases import Phases

log = get_logger("riskd.supervisor")

REPLACE_ME = 75
"""Asked for by an operator: replaced at once, out of safe mode."""
CANNOT_GO_ON = 70
"""A part that only a new process cures: replaced, and counted as a failure."""

LEAVING = {0: "stopping", 1: "stopping", 78: "stopping", REPLACE_ME: "restarting"}
"""What the watchdog is told by the exit code; any other end is a failure."""

BLIND_S = 10.0
"""A start takes the link through blindness for a moment; longer, and blind is what it is."""


class Ending(Struct, frozen=True):
    """Why the program ends, in the operator's words, with the exit code of the process."""

    exit: int
    why: str
    hint: str = ""
    left_open: tuple[str, ...] = ()


class Alerting(Protocol):
    """Tells people something on the guard's own behalf; `key` tells one occasion from another."""

    def __call__(self, level: str, text: str, key: str, account: str = "") -> None: ...


class Life:
    """One run of the guard, from its first step to the first reason that anybody gave for its end."""

    def __init__(
        self, clock: Clock, phases: Phases, *, first_start: bool, on_phase: Callable[[str], None] | None
    ) -> None:
        self.ready = False
        """Whether it guards, or is up and blind; what comes before is its start."""
        self.ending: Ending | None = None
        """Why it is ending; None while it guards."""
        self.over = trio.Event()
        self.first_start = first_start
        self._clock, self._phases, self._on_phase = clock, phases, on_phase

    @property
    def may_refuse(self) -> bool:
        """Whether somebody waits at `riskd up`: a first start is refused where a restart guards on."""
        return self.first_start and not self.ready

    def begin(self, phase: str) -> None:
        """Another step begins: the log, the watchdog and `riskd up` are told."""
        log.info("program.phase", phase=phase)
        self._phases.begin(phase, self._clock.mono())
        if self._on_phase is not None:
            self._on_phase(phase)

    def become_ready(self) -> None:
        """The start is through; the log says how long each of its steps took."""
        self.ready = True
        log.info("program.guarding", **self._phases.told(self._clock.mono()))
        self.begin("ready")

    def end(self, ending: Ending) -> None:
        """Stop in good order; the first reason given is the one told."""
        if self.ending is None:
            self.ending = ending
            log.info("program.ends", exit=ending.exit, why=ending.why)
        self.over.set()

    def must_restart(self, reason: str) -> None:
        """End, for only a new process cures this."""
        log.critical("program.must_be_replaced", why=reason)
        self.end(Ending(CANNOT_GO_ON, reason))


def is_through(link: LinkView, now: datetime, *, introduced: bool, named: bool) -> bool:
    """Whether a start is through. `introduced`: events come to an account; `named`: the gateway named any."""
    match link.state:
        case LinkState.LIVE:
            return introduced
        case LinkState.DOWN:
            # Unreachable: up, blind and retrying is a state of its own, not a failed start.
            return not named and _has_failed(link)
        case LinkState.BLIND:
            # REST answers and the hubs cannot be had: accounts are read and guarded, only later.
            return introduced and (now - link.since).total_seconds() > BLIND_S
        case other:
            assert_never(other)


def _has_failed(link: LinkView) -> bool:
    """An attempt failed, and not because the login was refused: that ends a first start."""
    return bool(link.reason) and link.reason != NOT_TRIED and not link.auth_failed
