"""Everything `status` is made from, read off the board and the process at one moment."""

from __future__ import annotations

import importlib.metadata
import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import psutil

from actors.connection.link import LinkView
from actors.connection.traffic import Traffic
from actors.enforcement.view import EnforcementView
from actors.messages import AccountSnapshot, Now
from actors.persistence.queries import StoreView
from actors.rules.registry import BuiltRule
from actors.rules.view import RuleView
from actors.timers.actor import TimersView
from supervisor import answers, outside
from supervisor.answers import Note, Reason
from supervisor.arming import Armed
from supervisor.identity import recorded
from supervisor.program import Program
from supervisor.roles import AdminSecret
from supervisor.status import AccountSeen, EnforcementSeen, RuleSeen, Seen
from supervisor.waiting import pending

MEGABYTE = 1 << 20
LOOK_S = 1.0


@dataclass
class Process:
    """The daemon's own process, for `status`."""

    started_at: datetime
    restart: int
    test_clock: str | None

    def __post_init__(self) -> None:
        self._me = psutil.Process()
        self._me.cpu_percent()
        self._version = importlib.metadata.version("riskd")
        self._looked, self._memory, self._cpu = float("-inf"), 0.0, 0.0

    def facts(self, mono: float) -> answers.DaemonFacts:
        """Memory and processor are looked up once a second, however many ask."""
        if mono - self._looked >= LOOK_S:
            self._looked = mono
            with self._me.oneshot():
                self._memory, self._cpu = self._me.memory_info().rss / MEGABYTE, self._me.cpu_percent()
        memory, cpu = round(self._memory, 1), round(self._cpu, 1)
        return answers.DaemonFacts(os.getpid(), self.started_at, self._version, self.restart, memory, cpu)


def seen(program: Program, process: Process) -> Seen:
    """One moment of the whole guard."""
    now = Now(program.clock.wall(), program.clock.mono())
    watchdog = recorded(program.home.watchdog)
    timers = program.board.read(("timers",), TimersView)
    link = program.board.read(("link",), LinkView)
    return Seen(
        now,
        tuple(_account(program, armed) for armed in program.armed.values()),
        link,
        program.board.read(("store",), StoreView),
        process.facts(now.mono),
        None if watchdog is None else answers.WatchdogFacts(watchdog.pid),
        safe_mode=program.parts.safe_mode,
        holidays_known=program.calendar.covers(now.wall.date()),
        faults=(*_faults(program), *outside.reasons(timers, program.board.read(("traffic",), Traffic), now)),
        notes=(*_notes(program), *outside.notes(timers, link, now)),
        pending=pending(program),
        test_clock=process.test_clock,
        dead_letters=program.supervisor.dead_letters.count,
        latency=program.figures.latency(),
    )


def _account(program: Program, armed: Armed) -> AccountSeen:
    name = armed.guarded.name
    board = program.board
    view = board.read(("enforcement", name), EnforcementView)
    enforcement = EnforcementSeen()
    if view is not None:
        last = view.last_decision
        decision = None if last is None else answers.Decision(last.at, last.id, last.rule, last.text)
        enforcement = EnforcementSeen(view.lockouts, view.reducing, view.attempts, decision)
    # Those without a number guard too, but are no rules that the trader configured one by one.
    rules = [_rule(program, name, built) for built in armed.guarded.rules if built.number]
    rules += [_rule(program, name, built, armed.failed[built.name]) for built in armed.unproven]
    return AccountSeen(
        armed.guarded.id,
        name,
        board.read(("snapshot", name), AccountSnapshot),
        enforcement,
        tuple(rules),
        armed.off,
    )


def _rule(program: Program, account: str, built: BuiltRule, failed: str | None = None) -> RuleSeen:
    actor = f"account/{account}/rules/{built.name}"
    return RuleSeen(
        built,
        program.board.read(("rule", account, built.name), RuleView),
        program.failures.uncovered_ms.get(actor, 0.0),
        failed or program.failures.given_up.get(actor),
    )


def _faults(program: Program) -> Iterable[Reason]:
    if program.file_fault is not None:
        yield program.file_fault
    for actor, why in program.failures.given_up.items():
        if "/rules/" not in actor:
            yield Reason("actor", f"{actor} was given up: {why}")
    for armed in program.armed.values():
        for rule, why in armed.failed.items():
            if all(built.name != rule for built in armed.unproven):
                yield Reason("rules", f"{rule} on {armed.guarded.name} does not guard: {why}")


def _notes(program: Program) -> Iterable[Note]:
    if not AdminSecret(program.home.admin_secret).is_set():
        yield Note("no_admin_secret", "no admin secret is set: riskd secret set admin")
