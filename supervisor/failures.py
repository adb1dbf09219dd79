"""What happens when a part of the guard fails: written down, its account locked while its rule does not run,
tried again, and read anew where a message was lost.
"""

from __future__ import annotations

from collections.abc import Mapping

import trio

from actors.clock import Clock
from actors.logs import get_logger
from actors.messages import DeadLetter, HistoryKind, Now, ReadAccount, Record, SupervisorLock
from actors.persistence.keys import history_id
from supervisor.arming import Armed
from supervisor.driver import Refused, Supervisor
from supervisor.events import Report
from supervisor.handle import DeadLetter as Letter
from supervisor.life import Alerting, Life

log = get_logger("riskd.supervisor")

RETRY_GIVEN_UP_S = 60.0
"""A rule that was given up is tried again after this long; until then its account is locked."""


class Failures:
    """Actors that died or were given up, and what became of them."""

    def __init__(
        self,
        clock: Clock,
        supervisor: Supervisor,
        armed: Mapping[str, Armed],
        life: Life,
        alert: Alerting,
    ) -> None:
        self._clock, self._supervisor, self._armed = clock, supervisor, armed
        self._life, self._alert = life, alert
        self._nursery: trio.Nursery | None = None
        self.restarts = 0
        """How often an actor was replaced."""
        self.given_up: dict[str, str] = {}
        """Actors that do not run any more, with the reason."""
        self.uncovered_ms: dict[str, float] = {}
        """How long each actor did not run while it was replaced, added up."""
        self._handled: dict[str, int] = {}
        """How many messages an actor had handled when it was given up."""
        self._trying: dict[str, int] = {}
        """Given-up actors that were started again, with what they had handled before."""
        self._died_of: dict[str, str] = {}
        """Why an actor that is being replaced died."""

    def open(self, nursery: trio.Nursery) -> None:
        """From now on a rule that is given up is tried again later."""
        self._nursery = nursery

    def report(self, report: Report) -> None:
        """Log what the supervisor reports of an actor, and do what has to follow."""
        line = report.line()
        if report.expected:
            log.info("actor.stopped", actor=report.id, line=line)
        elif report.kind in ("exited", "gave_up", "escalated", "restart_failed", "start_failed", "overdue"):
            log.error("actor.failed", kind=report.kind, actor=report.id, line=line)
        elif report.kind == "restarted":
            log.warning("actor.restarted", actor=report.id, line=line)
        match report.kind:
            case "exited" if report.reason is not None:
                self._died_of[report.id] = report.reason.describe()
            case "restarted":
                self._restarted(report)
            case "gave_up" | "escalated":
                self._gave_up(report)
            case "started":
                self._runs_again(report.id)
            case _:
                return

    def _restarted(self, report: Report) -> None:
        self.restarts += 1
        uncovered = report.uncovered_ms or 0.0
        self.uncovered_ms[report.id] = self.uncovered_ms.get(report.id, 0.0) + uncovered
        at = self._clock.wall()
        body: dict[str, object] = {
            "actor": report.id,
            "cause": self._died_of.pop(report.id, "asked for"),
            "uncovered_ms": round(uncovered, 3),
        }
        account = account_of(report.id) or ""
        key = f"{report.id}/{report.epoch}/{at.isoformat()}"
        record = Record(history_id(HistoryKind.RESTART, account, key), HistoryKind.RESTART, at, account, body)
        self._supervisor.handle("persistence").tell(record)
        self._runs_again(report.id)

    def _gave_up(self, report: Report) -> None:
        why = report.reason.describe() if report.reason else report.kind
        self.given_up[report.id] = why
        self._trying.pop(report.id, None)
        self._handled[report.id] = self._supervisor.handle(report.id).handled
        self._alert("critical", f"{report.id} keeps failing and was given up: {why}", f"gave-up/{report.id}")
        account, rule = account_of(report.id), rule_of(report.id)
        if account is None or rule is None:
            self._life.must_restart(f"{report.id} was given up")
            return
        built = next(b for b in self._armed[account].guarded.rules if b.name == rule)
        if built.mode == "armed" and not built.manages:
            self._lock_for(account, rule, why, on=True)
        if self._nursery is not None:
            self._nursery.start_soon(self._try_again, report.id)

    async def _try_again(self, actor: str) -> None:
        await trio.sleep(RETRY_GIVEN_UP_S)
        if actor in self.given_up:
            try:
                await self._supervisor.restart(actor)
            except Refused as error:
                log.error("actor.not_restarted", actor=actor, why=str(error))

    def _runs_again(self, actor: str) -> None:
        """Started is not running: it has to handle something first, or the lock would flap."""
        if actor in self.given_up:
            # Its first message may have been handled before this is called; a quiet market sends no other.
            now = self._supervisor.handle(actor).handled
            self._trying[actor] = min(now, self._handled.pop(actor, now))

    def look_at_tries(self) -> None:
        """Whether an actor that was started again has handled something: then its account is free again."""
        for actor, handled in list(self._trying.items()):
            if self._supervisor.handle(actor).handled > handled:
                del self._trying[actor]
                self._recovered(actor)

    def _recovered(self, actor: str) -> None:
        del self.given_up[actor]
        account, rule = account_of(actor), rule_of(actor)
        if account is not None and rule is not None:
            self.unlock_for(account, rule)

    def unlock_for(self, account: str, rule: str) -> None:
        """End the lock that stood for a rule which did not run."""
        self._lock_for(account, rule, "the rule runs again", on=False)

    def _lock_for(self, account: str, rule: str, reason: str, *, on: bool) -> None:
        guarded = self._armed[account].guarded
        now = Now(self._clock.wall(), self._clock.mono())
        enforcement = self._supervisor.handle(f"account/{account}/enforcement")
        enforcement.tell(SupervisorLock(guarded.id, rule, on, reason, now), urgent=True)

    def dead_letter(self, letter: Letter) -> None:
        """A message that nobody could handle: its account is read anew."""
        log.error(
            "actor.dead_letter", actor=letter.id, message=type(letter.message).__name__, cause=letter.cause
        )
        account = account_of(letter.id)
        if account is None or account not in self._armed or not letter.poison:
            return
        self._reconcile(account, letter.id, letter.cause)
        self._alert("error", f"{letter.id} could not handle a message: {letter.cause}", f"dead/{letter.id}")

    def refused(self, name: str, message: object) -> None:
        """User events are never dropped: one that a full lane refused marks the account for reconcile."""
        log.error("actor.mailbox_full", actor=name, message=type(message).__name__)
        account = account_of(name)
        if account is not None and account in self._armed:
            self._reconcile(account, name, "its mailbox was full")

    def _reconcile(self, account: str, actor: str, cause: str) -> None:
        guarded = self._armed[account].guarded
        self._supervisor.handle(f"account/{account}").tell(DeadLetter(actor, cause), urgent=True)
        self._supervisor.handle("connection").tell(ReadAccount(guarded.id, f"{actor}: {cause}"))


def account_of(actor: str) -> str | None:
    """The account's name in an actor's id, None for what belongs to none."""
    parts = actor.split("/")
    return parts[1] if parts[0] == "account" and len(parts) > 1 else None


def rule_of(actor: str) -> str | None:
    """The rule's name in an actor's id, None for what is no rule."""
    parts = actor.split("/")
    return parts[3] if len(parts) > 3 and parts[2] == "rules" else None
