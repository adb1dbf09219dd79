"""One step of enforcement in the making: the state as it is being changed, and what must be done.

A step opens a Turn on the plan, changes it through the functions of this folder, and closes it into
the next plan. Nothing here reads a clock or sends anything.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

import msgspec
from msgspec import Struct

from actors.messages import (
    AccountFlat,
    AccountSnapshot,
    Breach,
    BreachId,
    Call,
    CallKind,
    ContractId,
    Demand,
    Lock,
    Lockout,
    Notice,
    Now,
    OrderId,
    OrderType,
    OwnClose,
    Receipt,
)
from actors.rules.protection import OWN_TAG

from . import lockouts as locks
from .effects import Effect, LockoutOver, LockoutSet, Notify, ReceiptChanged
from .lockouts import Over
from .memory import ACCOUNT, ClosedReceipt, Memory, OpenReceipt, Pursuit, Shut
from .receipts import closed

RECEIPTS_SHOWN = 20
CLOSED_FOR, CLOSED_MOST = timedelta(minutes=1), 10
"""How long, and how many, closed receipts are remembered beyond the rows that tell of them."""


class Heard(Struct, frozen=True, gc=False):
    """What a rule last said, as far as it matters later."""

    seq: int
    breaches: tuple[BreachId, ...]
    holds: str | None
    """What stands now and would make an unlock change nothing."""
    notices: tuple[str, ...]
    locked_since: datetime | None = None
    """The newest event that it ever asked to lock for."""
    demands: tuple[Demand, ...] = ()
    """Of a shadow rule: what it would demand, recorded once per episode."""


class Plan(Struct, frozen=True, gc=False):
    """Enforcement of one account: what must be remembered, and what was seen last."""

    memory: Memory
    snapshot: AccountSnapshot | None = None
    heard: dict[str, Heard] = {}
    read_asked: float = float("-inf")
    """Monotonic second of the last read asked for."""
    receipts: tuple[Receipt, ...] = ()
    """The newest that were closed, for people."""


class Done(Struct, frozen=True, gc=False):
    """What a step gives: the next plan, calls that go out at once, and the rest."""

    plan: Plan
    calls: tuple[Call, ...] = ()
    after: tuple[Effect, ...] = ()
    changed: bool = False
    """Memory changed: it must be in the journal before a call goes out or anybody is answered."""


class Turn:
    """The plan while one input is taken. Containers are copies; elements are never changed in place."""

    def __init__(self, plan: Plan, now: Now) -> None:
        memory = plan.memory
        self.plan, self.now = plan, now
        self.lockouts = memory.lockouts
        self.standing = list(memory.standing)
        self.receipts = dict(memory.receipts)
        self.pursuits = dict(memory.pursuits)
        self.wishes = memory.wishes
        self.given_up = memory.given_up
        self.attempts = memory.attempts
        self.counted, self.known, self.ours = memory.counted, memory.known, memory.ours
        self.number = memory.number
        self.closed, self.shut = memory.closed, memory.shut
        self.snapshot = plan.snapshot
        self.heard = plan.heard
        self.read_asked = plan.read_asked
        self.shown = plan.receipts
        self.calls = list[Call]()
        self.after = list[Effect]()

    def done(self) -> Done:
        old = self.plan.memory
        memory = Memory(
            old.account,
            old.name,
            old.settle_s,
            self.number,
            self.lockouts,
            tuple(self.standing),
            self.receipts,
            self.pursuits,
            self.wishes,
            self.given_up,
            self.attempts,
            self.counted,
            self.known,
            self.ours,
            self.closed,
            self.shut,
        )
        changed = memory != old
        if changed and self.closed:
            memory = msgspec.structs.replace(memory, closed=_newest(self.closed, self.now.wall))
        plan = Plan(memory, self.snapshot, self.heard, self.read_asked, self.shown)
        return Done(plan, tuple(self.calls), tuple(self.after), changed)

    @property
    def settle_s(self) -> float:
        return self.plan.memory.settle_s

    def see(self, snapshot: AccountSnapshot) -> None:
        """Go on from the newest the account has shown. A lower number seen later is a new count."""
        seen = self.snapshot
        if seen is None or snapshot.seq > seen.seq or snapshot.now.mono > seen.now.mono:
            self.snapshot = snapshot

    def sizes(self) -> dict[str, int] | None:
        """What is open, signed; None before the account was first read."""
        if self.snapshot is None or self.snapshot.read_mono <= 0:
            return None
        return {p.contract: p.size for p in self.snapshot.positions}

    # -------------------------------------------------------------------------- lockouts

    def lock(self, rule: str, wish: Lock) -> Lockout | None:
        """Set a lockout; the lockout when it is new, longer or stronger, else None."""
        was_locked = self.lockouts.locked
        self.lockouts, changed = locks.lock(
            self.lockouts, self.plan.memory.account, rule, wish, self.sizes(), self.now.wall
        )
        if changed is None:
            return None
        if not was_locked:
            self._begin_watch()
        self.after.append(LockoutSet(changed, self.now.wall, True))
        return changed

    def _begin_watch(self) -> None:
        """From here on, what is new is an attempt; what is there already is not."""
        orders = () if self.snapshot is None else self.snapshot.orders
        self.known = tuple(order.id for order in orders)
        self.counted = ()

    def end(self, left: locks.Lockouts, over: Iterable[Over]) -> None:
        before = self.lockouts
        self.lockouts = left
        ended = {one.rule: one for one in over}
        for lockout in before.in_force:
            if lockout.rule in ended:
                self.after.append(LockoutOver(ended[lockout.rule], lockout))

    def shrink(self, sizes: dict[str, int]) -> None:
        """Frozen sizes follow what is open, downwards only."""
        self.lockouts, changed = locks.shrink(self.lockouts, sizes)
        self.after.extend(LockoutSet(lockout, self.now.wall, False) for lockout in changed)

    # -------------------------------------------------------------------------- receipts

    def receipt(
        self,
        scope: str,
        rules: Iterable[str],
        breaches: Iterable[Breach],
        demands: Iterable[Demand],
        breach_mono: float,
    ) -> OpenReceipt:
        """The open receipt of this scope, joined by these causes; a contract's joins the account's."""
        whole = self.open_receipt(ACCOUNT)
        present = whole if whole is not None else self.open_receipt(scope)
        if present is None:
            present = self.new_receipt(scope, breach_mono)
        seen = tuple(breaches)
        joined = msgspec.structs.replace(
            present,
            rules=_joined(present.rules, rules),
            breaches=_joined(present.breaches, (breach.id for breach in seen)),
            seen=_joined(present.seen, seen),
            demands=_joined(present.demands, demands),
        )
        if joined != present or present.id not in self.receipts:
            self.receipts[present.id] = joined
            self.after.append(ReceiptChanged(joined))
        return joined

    def new_receipt(self, scope: str, breach_mono: float) -> OpenReceipt:
        id_ = f"{self.plan.memory.account}-{self.number}"
        self.number += 1
        return OpenReceipt(id_, scope, (), (), (), self.now.wall, self.now.mono, breach_mono)

    def open_receipt(self, scope: str) -> OpenReceipt | None:
        return next((r for r in self.receipts.values() if r.scope == scope), None)

    def account_receipt(self) -> OpenReceipt:
        """For what concerns the whole account: of the lockouts in force, and of whoever demands it flat."""
        present = self.open_receipt(ACCOUNT)
        if present is not None:
            return present
        rules = [one.rule for one in self.lockouts.in_force]
        flat = [one.rule for one in self.standing if one.acts and isinstance(one.demand, AccountFlat)]
        demands = (AccountFlat(),) if flat or self.lockouts.flattens else ()
        opened = self.receipt(ACCOUNT, [*rules, *flat], (), demands, self.seen_mono())
        causes = tuple(one.breach for one in self.lockouts.in_force if one.breach is not None)
        self.receipts[opened.id] = msgspec.structs.replace(opened, breaches=causes)
        return self.receipts[opened.id]

    def seen_mono(self) -> float:
        """When what is acted on now was seen."""
        return self.now.mono if self.snapshot is None else min(self.now.mono, self.snapshot.now.mono)

    def change(self, receipt: OpenReceipt) -> None:
        self.receipts[receipt.id] = receipt

    def call(
        self,
        receipt_id: str,
        kind: CallKind,
        contract: ContractId,
        *,
        size: int = 0,
        order: OrderId | None = None,
        order_type: OrderType | None = None,
        limit_price: float | None = None,
        stop_price: float | None = None,
        protective: bool = True,
    ) -> Call:
        """Send a call for this receipt. One sent while none of it is out begins a new round."""
        receipt = self.receipts[receipt_id]
        waiting = any(p.flying and p.receipt == receipt_id for p in self.pursuits.values())
        begun = receipt.begun + 1
        call = Call(
            f"{receipt_id}/{begun}",
            self.plan.memory.account,
            kind,
            contract,
            size,
            order,
            order_type,
            limit_price,
            stop_price,
            f"{OWN_TAG}{receipt_id}-{begun}" if kind is CallKind.PLACE else None,
            protective,
        )
        rounds = receipt.rounds + (not waiting)
        self.receipts[receipt_id] = msgspec.structs.replace(receipt, begun=begun, rounds=rounds)
        self.calls.append(call)
        return call

    def note(self, receipt: str, text: str) -> None:
        """Put a sentence on the receipt, once."""
        present = self.receipts[receipt]
        if text not in present.notes:
            self.receipts[receipt] = msgspec.structs.replace(present, notes=(*present.notes, text))

    def close_receipt(self, receipt: OpenReceipt, *, verified: bool) -> None:
        del self.receipts[receipt.id]
        changed = ReceiptChanged(
            receipt,
            self.now.wall if verified else None,
            (self.now.mono - receipt.breach_mono) * 1e3 if verified else None,
        )
        self.after.append(changed)
        told = ClosedReceipt(receipt, self.now.wall, changed.verified_at, changed.verified_ms)
        self.closed = (*self.closed, told)
        self.shown = (*self.shown, closed(changed, self.plan.memory.account))[-RECEIPTS_SHOWN:]

    def show_closed(self) -> None:
        """People are shown what was closed before a crash as well."""
        seen = {receipt.id for receipt in self.shown}
        lost = [one for one in self.closed if one.receipt.id not in seen]
        told = (ReceiptChanged(one.receipt, one.verified_at, one.verified_ms) for one in lost)
        more = (closed(one, self.plan.memory.account) for one in told)
        self.shown = (*self.shown, *more)[-RECEIPTS_SHOWN:]

    def close_over(self, pursuit: Pursuit) -> None:
        """A close of ours has taken effect, or another takes its place: its fill may not be stored yet."""
        call = pursuit.call
        cause = OwnClose.LOCKOUT if self.lockouts.locked else OwnClose.REDUCE
        size = call.size if pursuit.before >= 0 else -call.size
        shut = Shut(call.contract, size, cause, self.now.wall)
        self.shut = (*(one for one in self.shut if one.until > self._lately()), shut)

    def _lately(self) -> datetime:
        return self.now.wall - CLOSED_FOR

    # -------------------------------------------------------------------------- people

    def notify(self, level: str, message: str, key: str, component: str = "enforcement", **data: str) -> None:
        self.after.append(Notify(Notice(level, component, message, key, data), self.now.wall))


def _newest(closed: tuple[ClosedReceipt, ...], now: datetime) -> tuple[ClosedReceipt, ...]:
    return tuple(one for one in closed if now - one.at < CLOSED_FOR)[-CLOSED_MOST:]


def _joined[T](present: tuple[T, ...], more: Iterable[T]) -> tuple[T, ...]:
    joined = present
    for item in more:
        if item not in joined:
            joined = (*joined, item)
    return joined
