"""The rule actor: one class hosts any machine. Snapshot in, verdict out.

It sends a verdict when there is something that must hold, or when that changed; a snapshot older
than one already judged is left out, so late and repeated ones are harmless.
"""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from actors.board import Board, Lazily
from actors.clock import Clock
from actors.logs import checkpoint, get_logger
from actors.messages import (
    AccountId,
    AccountSnapshot,
    ReadAccount,
    Reborn,
    StoreRuleState,
    Verdict,
)
from actors.tally import Tally
from actors.timers.deadlines import ArmDue
from actors.worker import Actor, Address

from .registry import BuiltRule
from .rule import TRADED, Judgement
from .view import RuleView

log = get_logger("riskd.rules")

READ_AGAIN_S = 1.0
"""How long an asked read may take before it is asked again."""


class Neighbours(Struct, frozen=True):
    """Where a rule sends."""

    account: Address
    enforcement: Address
    connection: Address
    persistence: Address
    timers: Address


class Kept(Struct, frozen=True):
    """What the next incarnation goes on from."""

    state: object
    seq: int
    said: tuple[object, ...] | None


class RuleActor(Actor):
    """Hosts one machine for one account."""

    deadline_s = 0.25

    def __init__(
        self,
        account: AccountId,
        name: str,
        built: BuiltRule,
        neighbours: Neighbours,
        clock: Clock,
        board: Board,
        restored: bytes | None,
        kept: object | None = None,
    ) -> None:
        self._account, self._name, self._built = account, name, built
        self._to, self._clock, self._board = neighbours, clock, board
        if isinstance(kept, Kept):
            self._kept = kept
        else:
            rule = built.rule
            state = rule.initial() if restored is None else rule.decode(restored)
            self._kept = Kept(state, 0, None)
        self._tally = board.shared(("tally", "rule", name, built.name), Tally, Tally)
        self._due: datetime | None = None
        self._breached = False
        self._asked_mono = float("-inf")

    def started(self) -> None:
        self._board.post(("rule", self._name, self._built.name), Lazily(self._view))
        self.send(self._to.account, Reborn(self.me.id))

    def keep(self) -> Kept:
        return self._kept

    def receive(self, message: object) -> None:
        if not isinstance(message, AccountSnapshot):
            raise TypeError(f"rule cannot take {type(message).__name__}")
        if message.seq <= self._kept.seq:
            return
        started = self._clock.mono()
        judged = self._built.rule.judge(self._kept.state, message, message.now)
        took_s = self._clock.mono() - started
        said = (judged.breaches, judged.demands, judged.lock, judged.notices, judged.condition_over)
        evaluated = self._is_news(judged)
        self._say(message, judged, said)
        self._ask(message, judged)
        if evaluated:
            self._tell_judged(message, judged, took_s)
        self._tally.took(took_s, "evaluation")

    def _tell_judged(self, snapshot: AccountSnapshot, judged: Judgement[object], took_s: float) -> None:
        checkpoint(
            7,
            "rule evaluated",
            account=self._name,
            rule=self._built.name,
            cause=snapshot.cause,
            breaches=[breach.id for breach in judged.breaches],
            took_us=round(took_s * 1e6),
        )

    def _is_news(self, judged: Judgement[object]) -> bool:
        """The first judgement, and each that sees other breaches: a line per fill and rule would cost the
        close more than the judging does."""
        said = self._kept.said
        return said is None or (bool(judged.breaches) and judged.breaches != said[0])

    def _say(self, snapshot: AccountSnapshot, judged: Judgement[object], said: tuple[object, ...]) -> None:
        body = None
        if judged.state != self._kept.state:
            body = self._built.rule.encode(judged.state)
        # That a condition is still over is said again with the next tick; here it would only delay others.
        repeated = said == self._kept.said and not any(said[:4]) and snapshot.cause.startswith(TRADED)
        # The first one is said even if it asks for nothing: what was demanded under other limits may stand.
        if (any(said) and not repeated) or said != self._kept.said:
            self.send(
                self._to.enforcement,
                Verdict(
                    self._account,
                    self._built.name,
                    self._built.mode,
                    snapshot.seq,
                    judged.breaches,
                    judged.demands,
                    judged.lock,
                    judged.notices,
                    snapshot,
                    judged.condition_over,
                    self._built.manages,
                    body,
                ),
            )
        elif body is not None:
            row = StoreRuleState(self._account, self._built.name, snapshot.seq, body)
            self.send(self._to.persistence, row)
        self._kept, self._breached = Kept(judged.state, snapshot.seq, said), bool(judged.breaches)

    def _ask(self, snapshot: AccountSnapshot, judged: Judgement[object]) -> None:
        if judged.due is not None and judged.due != self._due:
            self._due = judged.due
            self.send(self._to.timers, ArmDue(self._to.account, judged.due, self.me.id))
        mono = snapshot.now.mono
        if judged.wants_read is not None and mono - self._asked_mono >= READ_AGAIN_S:
            self._asked_mono = mono
            self.send(self._to.connection, ReadAccount(self._account, judged.wants_read, verify=True))

    def _view(self) -> RuleView:
        """What people see, made when somebody looks: in their thread, from values that are never changed."""
        return RuleView(
            self._name,
            self._built.name,
            self._built.mode,
            None,
            self._breached,
            self._kept.state,
            self._due.isoformat() if self._due else None,
        )
