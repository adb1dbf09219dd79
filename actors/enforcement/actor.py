"""The enforcement actor: the shell around the plan. Memory first, calls next, everything else after.

Order on a breach: lockout in memory, journal written, calls handed over, account told of them; rows,
alerts and views follow when the calls are answered or after 3 ms, so that nobody takes the interpreter
while they are being sent.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Protocol, runtime_checkable

from msgspec import Struct

from actors.address import Address
from actors.board import Board
from actors.clock import Clock
from actors.connection.port import CallSender
from actors.crash_points import crash_point
from actors.logs import checkpoint, get_logger
from actors.messages import (
    AccountId,
    AccountSnapshot,
    Alert,
    Called,
    CloseSent,
    CloseVerified,
    DayReset,
    DeadLetter,
    FlattenByHand,
    LockByHand,
    Lockout,
    Notice,
    Now,
    ReadAccount,
    Reborn,
    SupervisorLock,
    Tick,
    Unlock,
    Verdict,
)
from actors.worker import Actor

from . import plan as machine
from .counts import Counts
from .effects import (
    Answer,
    AskRead,
    BreachSeen,
    Denied,
    Effect,
    LockoutOver,
    LockoutSet,
    ReceiptChanged,
    TellAccount,
)
from .journal import Journal
from .pursuit import CLOSES
from .rows import alerts, rows, until_text
from .turn import Done, Plan
from .view import Decision, EnforcementView, view_of

log = get_logger("riskd.enforcement")

HOLD_S = 0.003
"""Rows wait for the answer to the calls they belong to, this long at most."""


class Neighbours(Struct, frozen=True):
    """Where enforcement sends."""

    account: Address
    connection: Address
    persistence: Address
    notices: Address


@runtime_checkable
class Timed(Protocol):
    """A sender that can also call back later; rows are held back only where it can."""

    def call_later(self, seconds: float, call: Callable[[], None]) -> object: ...


class LetGo(Struct, frozen=True, gc=False, tag=True):
    """The rows held back longest enough: send them although no answer came yet."""


class EnforcementActor(Actor):
    """Carries out what rules and people decided for one account."""

    deadline_s = 0.25

    def __init__(
        self,
        account: AccountId,
        name: str,
        to: Neighbours,
        sender: CallSender,
        clock: Clock,
        board: Board,
        journal: Journal,
        request_timeout_s: float,
        stored: tuple[Lockout, ...] = (),
        kept: Plan | None = None,
        *,
        safe_mode: bool = False,
        off: tuple[str, ...] = (),
    ) -> None:
        self._account, self._name, self._to = account, name, to
        self._sender, self._clock, self._board, self._journal = sender, clock, board, journal
        self._timeout_s, self._stored, self._safe_mode = request_timeout_s, stored, safe_mode
        self._off = off
        self._later = sender if isinstance(sender, Timed) else None
        self._trusted: Now | None = None
        shown = board.read(("enforcement", name), EnforcementView)
        self._decision: Decision | None = None if shown is None else shown.last_decision
        self._kept = kept
        self._counts = board.shared(("counts", name), Counts, Counts)
        self._plan = (
            kept if kept is not None else machine.first_plan(account, name, request_timeout_s, clock.wall())
        )

    def started(self) -> None:
        self._journal.owner = self
        if self._journal.memory is not None:
            # Reborn: the journal's memory is what was last acted on, newer than what was last acknowledged.
            plan = (
                Plan(self._journal.memory) if self._kept is None else _with_memory(self._kept, self._journal)
            )
            self._carry_out(machine.resume(plan, self._now()))
        else:
            self._restore()
        self._let_go()
        self._carry_out(machine.safe_mode(self._plan, self._now(), on=self._safe_mode))
        # The incarnation before may have ended between writing what it decided and showing it.
        self._show()
        self.send(self._to.account, Reborn(self.me.id))

    def _restore(self) -> None:
        memory = self._journal.read() or self._plan.memory
        self._carry_out(machine.restore(memory, self._stored, self._now(), self._off))
        if self._journal.damaged:
            text = f"{self._journal.damaged} bytes of the enforcement journal could not be read"
            self._warn("warning", text, "enforcement/journal/damaged")

    def keep(self) -> Plan:
        return self._plan

    def stopping(self) -> None:
        self._let_go()

    def receive(self, message: object) -> None:
        match message:
            case Verdict() | AccountSnapshot() | DayReset():
                self._carry_out(machine.step(self._plan, message, self._now()))
            case Called():
                self._carry_out(machine.step(self._plan, message, self._now()))
                self._let_go()
            case Tick():
                self._trusted = message.now
                self._carry_out(machine.step(self._plan, message, self._now()))
            case LockByHand() | FlattenByHand() | Unlock() | SupervisorLock():
                loosens = isinstance(message, Unlock)
                self._carry_out(machine.step(self._plan, message, self._now()), must=loosens)
            case LetGo():
                self._let_go()
            case Reborn():
                self._show()
            case DeadLetter():
                self._read(f"{message.actor} gave up a message: {message.cause}")
                self.send(self._to.account, Reborn(self.me.id))
            case _:
                raise TypeError(f"enforcement cannot take {type(message).__name__}")

    def _now(self) -> Now:
        """Trusted time, carried on from the last tick; before the first one, the machine's."""
        mono = self._clock.mono()
        if self._trusted is None:
            return Now(self._clock.wall(), mono)
        return Now(self._trusted.wall + timedelta(seconds=mono - self._trusted.mono), mono)

    # -------------------------------------------------------------------------- carrying out

    def _carry_out(self, done: Done, *, must: bool = False) -> None:
        """`must`: what loosens is written before it takes effect, or does not take effect."""
        if self.fenced:
            return
        if done.changed:
            was_well = self._journal.error is None
            if not self._journal.write(done.plan.memory, self, must=must):
                if must:
                    self.reply(Denied(f"{self._journal.error}; nothing was changed"))
                    return
                if was_well:
                    self._shout()
        waits = bool(done.calls or self._journal.owed)
        self._journal.owed.append(done.after)
        self._submit(done)
        if done.calls:
            crash_point("enforcement.calls_handed_over")
        self._plan = done.plan
        for effect in done.after:
            if isinstance(effect, AskRead):
                self._read(effect.why, verify=True)
        if done.changed:
            self._decide(done.after)
            self._show()
        self._answer(done)
        if not waits:
            self._let_go()

    def _submit(self, done: Done) -> None:
        """Each close is announced to the account right after it went out: its fills must not come first."""
        told = [effect.message for effect in done.after if isinstance(effect, TellAccount)]
        closes = {message.contract: message for message in told if isinstance(message, CloseSent)}
        for call in done.calls:
            self._sender.submit(call, self.me)
            if call.kind in CLOSES and call.contract in closes:
                # Its fills wake the account, and come behind this.
                self.leave(self._to.account, closes.pop(call.contract))
        again = {message.contract for message in told if isinstance(message, CloseSent)}
        for message in told:
            # That an older close is over must not be heard after a newer one was announced.
            over = isinstance(message, CloseVerified) and message.contract not in again
            if over or message.contract in closes:
                self.send(self._to.account, message)

    def _answer(self, done: Done) -> None:
        """Whoever is answered finds the view in place already; rows wait for the calls they belong to."""
        for effect in done.after:
            if isinstance(effect, Answer):
                self.reply(effect.value)
        if done.calls:
            self._triggered(done)
            self._hold()

    def _read(self, why: str, *, verify: bool = False) -> None:
        self.send(self._to.connection, ReadAccount(self._account, why, verify))

    def _triggered(self, done: Done) -> None:
        for call in done.calls:
            checkpoint(
                8,
                "enforcement triggered",
                account=self._name,
                call=call.kind.value,
                contract=call.contract,
                size=call.size,
                id=call.id,
                breaches=_breaches(done.plan, call.id),
            )

    # -------------------------------------------------------------------------- rows, alerts, view

    def _hold(self) -> None:
        if self._later is None:
            self._let_go()
        else:
            me = self.me
            self._later.call_later(HOLD_S, lambda: me.tell(LetGo()))

    def _let_go(self) -> None:
        """What was told is struck out one by one: who crashes here leaves the rest to the next."""
        owed = self._journal.owed
        while owed and not self.fenced:
            after = owed[0]
            for effect in after[:1]:
                self._keep_rows(effect)
            # One that was given up in between must not strike out what the next one is telling.
            if self.fenced or not owed or owed[0] is not after:
                return
            if after:
                owed[0] = after[1:]
            else:
                owed.popleft()
                crash_point("enforcement.rows_told")

    def _keep_rows(self, effect: Effect) -> None:
        self._tell(effect)
        for row in rows(effect, self._account, self._name):
            self.send(self._to.persistence, row)
        for alert in alerts(effect, self._name):
            self.send(self._to.notices, alert)
        if self._plan.snapshot is not None:
            self._counts.feed(effect, self._plan.snapshot.day)

    def _tell(self, effect: Effect) -> None:
        """Lines for `enforcement.log`: what was locked, and what the account was seen to comply with."""
        match effect:
            case LockoutSet(lockout=lockout, new=True):
                log.info(
                    "enforcement.locked",
                    account=self._name,
                    rule=lockout.rule,
                    until=lockout.until,
                    reason=lockout.reason,
                    breach=lockout.breach,
                )
            case ReceiptChanged(receipt=receipt, verified_ms=took_ms) if effect.verified_at is not None:
                log.info(
                    "enforcement.verified",
                    account=self._name,
                    receipt=receipt.id,
                    breaches=receipt.breaches,
                    took_ms=took_ms,
                )
            case _:
                return

    def _decide(self, after: tuple[Effect, ...]) -> None:
        at = self._clock.wall()
        for effect in after:
            match effect:
                case LockoutSet(lockout=lockout, new=True):
                    text = f"locked {until_text(lockout)}: {lockout.reason}"
                    self._decision = Decision(at, lockout.breach or lockout.rule, lockout.rule, text)
                case LockoutOver(over=over):
                    self._decision = Decision(at, over.rule, over.rule, f"unlocked ({over.reason})")
                case BreachSeen(breach=breach):
                    self._decision = Decision(at, breach.id, breach.rule, breach.text)
                case _:
                    continue

    def _show(self) -> None:
        view = view_of(self._plan, self._decision, journal_ok=self._journal.error is None)
        self._board.post(("enforcement", self._name), view)

    def _shout(self) -> None:
        text = f"{self._journal.error}. Protection goes on from memory; free the disk."
        self._warn("critical", text, "enforcement/journal/unwritable")

    def _warn(self, level: str, text: str, key: str) -> None:
        log.warning("enforcement.journal", account=self._name, why=text)
        notice = Notice(level, "enforcement", text, key)
        self.send(self._to.notices, Alert(self._clock.wall(), self._name, notice))


def _breaches(plan: Plan, call: str) -> tuple[str, ...]:
    """What a call answers, by the receipt in its name."""
    receipt = plan.memory.receipts.get(call.rpartition("/")[0])
    return () if receipt is None else receipt.breaches


def _with_memory(kept: Plan, journal: Journal) -> Plan:
    assert journal.memory is not None
    return Plan(journal.memory, kept.snapshot, kept.heard, kept.read_asked, kept.receipts)
