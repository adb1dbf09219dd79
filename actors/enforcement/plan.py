"""The enforcement machine: one input in, the next plan, the calls and everything else to do out. Pure.

It is level-triggered: what must hold is kept, compared with the newest snapshot at every input, and
driven until a read of the account shows it. Twenty verdicts while a close is out send one close.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import assert_never

import msgspec

from actors.messages import (
    AccountFlat,
    AccountId,
    AccountSnapshot,
    Called,
    CallKind,
    CloseSent,
    ContractId,
    DayReset,
    FlattenByHand,
    LockByHand,
    Lockout,
    Mode,
    Now,
    Outcome,
    OwnClose,
    SupervisorLock,
    Tick,
    Unlock,
    Verdict,
)

from . import commands, drive
from .effects import BreachSeen, DemandRaised, LockoutOver, LockoutSet, ReceiptChanged, TellAccount
from .lockouts import rejoin
from .memory import Memory, OpenReceipt, Pursuit
from .turn import Done, Plan, Turn
from .verdicts import switched_off, take_verdict

SETTLE_S = 2.0
"""Beyond the request timeout, until no unanswered request can take effect any more."""

type Input = (
    Verdict
    | AccountSnapshot
    | Called
    | Tick
    | DayReset
    | LockByHand
    | FlattenByHand
    | Unlock
    | SupervisorLock
)


def first_plan(account: AccountId, name: str, request_timeout_s: float, now: datetime) -> Plan:
    """The plan of an account that was never guarded before. Receipts are numbered from the time on, so
    that a lost memory never uses a number twice."""
    return Plan(Memory(account, name, request_timeout_s + SETTLE_S, int(now.timestamp())))


def step(plan: Plan, event: Input, now: Now) -> Done:
    """Take one input. `now.wall` is trusted time."""
    if isinstance(event, AccountSnapshot) and _at_rest(plan.memory):
        return _only_seen(plan, event)
    turn = Turn(plan, now)
    match event:
        case Verdict():
            take_verdict(turn, event)
        case AccountSnapshot():
            turn.see(event)
        case Called():
            drive.take_answer(turn, event)
        case Tick():
            commands.pass_time(turn)
            drive.give_up_waiting(turn)
        case DayReset():
            commands.day_reset(turn, event)
        case LockByHand():
            commands.lock_by_hand(turn, event)
        case FlattenByHand():
            commands.flatten_by_hand(turn, event)
        case Unlock():
            commands.unlock(turn, event)
        case SupervisorLock():
            commands.supervisor_lock(turn, event)
        case _:
            assert_never(event)
    commands.follow_down(turn)
    drive.act(turn)
    return turn.done()


def _at_rest(memory: Memory) -> bool:
    return not (
        memory.lockouts.in_force
        or memory.standing
        or memory.receipts
        or memory.pursuits
        or memory.wishes
        or memory.ours
    )


def _only_seen(plan: Plan, snapshot: AccountSnapshot) -> Done:
    return Done(Plan(plan.memory, snapshot, plan.heard, plan.read_asked, plan.receipts))


def safe_mode(plan: Plan, now: Now, *, on: bool) -> Done:
    """Begin or end the freeze under which no rules run."""
    turn = Turn(plan, now)
    commands.safe_mode(turn, on=on)
    return turn.done()


# ------------------------------------------------------------------------------ after a crash


def resume(plan: Plan, now: Now) -> Done:
    """Go on after this actor was reborn in a running daemon.

    Calls that are out are handed over again under their ids (they are sent once only), and everything
    that is in force is told again: what was held back when the old incarnation ended is lost.
    """
    turn = Turn(plan, now)
    turn.calls.extend(p.call for p in plan.memory.pursuits.values() if p.flying)
    turn.show_closed()
    _tell_all(turn)
    return turn.done()


def restore(memory: Memory, stored: tuple[Lockout, ...], now: Now, off: Collection[str] = ()) -> Done:
    """Go on after the daemon was restarted: lockouts are in force before anything else is seen.

    `off`: rules that are not armed any more, who will never say that they ask for nothing.

    Nothing is known of calls that were out; monotonic seconds of another life mean nothing, so every
    wait begins anew.
    """
    lockouts, late = rejoin(memory.lockouts, stored)
    changed = msgspec.structs.replace(
        memory,
        lockouts=lockouts,
        given_up=memory.given_up or commands.rules_given_up(lockouts),
        pursuits={key: _of_another_life(pursuit, now) for key, pursuit in memory.pursuits.items()},
        receipts={id_: _receipt_of_another_life(receipt, now) for id_, receipt in memory.receipts.items()},
    )
    turn = Turn(Plan(changed), now)
    turn.show_closed()
    turn.after.extend(LockoutOver(over, lockout) for over, lockout in late)
    for rule in off:
        switched_off(turn, rule)
    _tell_all(turn, ended=True)
    return msgspec.structs.replace(turn.done(), changed=True)


def _of_another_life(pursuit: Pursuit, now: Now) -> Pursuit:
    return msgspec.structs.replace(
        pursuit,
        sent_mono=now.mono,
        ended_mono=now.mono,
        retry_mono=now.mono,
        outcome=Outcome.UNKNOWN if pursuit.flying else pursuit.outcome,
        own_before=-1,
        alerted_mono=None,
    )


def _receipt_of_another_life(receipt: OpenReceipt, now: Now) -> OpenReceipt:
    age = max(timedelta(0), now.wall - receipt.opened_at).total_seconds()
    first = receipt.first_call_mono
    return msgspec.structs.replace(
        receipt,
        opened_mono=now.mono,
        ended_mono=now.mono,
        breach_mono=now.mono - age,
        first_call_mono=None if first is None else now.mono - age + first - receipt.breach_mono,
    )


def _flattens(turn: Turn, receipt: OpenReceipt) -> list[DemandRaised]:
    """The demands that lockouts stand for; those of rules stand by themselves."""
    if AccountFlat() not in receipt.demands:
        return []
    return [
        DemandRaised(
            one.rule,
            AccountFlat(),
            receipt.opened_at,
            Mode.ARMED,
            tuple(breach for breach in receipt.seen if breach.rule == one.rule),
            receipt.id,
        )
        for one in turn.lockouts.in_force
        if one.flatten and one.rule in receipt.rules and _opened_by(receipt, one.rule, one.since)
    ]


def _opened_by(receipt: OpenReceipt, rule: str, since: datetime | None = None) -> bool:
    """Whether the rule raised a demand with it: new risk met while locked opens one and raises none."""
    return receipt.opened_at == since or any(breach.rule == rule for breach in receipt.seen)


def _demands_of(receipt: OpenReceipt) -> list[DemandRaised]:
    """What a closed receipt was opened for, as far as it still says which rule asked for what."""
    if len(receipt.rules) > 1 and len(receipt.demands) > 1:
        return []
    return [
        DemandRaised(
            rule,
            demand,
            receipt.opened_at,
            Mode.ARMED,
            tuple(breach for breach in receipt.seen if breach.rule == rule),
            receipt.id,
        )
        for rule in receipt.rules
        for demand in receipt.demands
        if _opened_by(receipt, rule)
    ]


def _closes(turn: Turn, *, ended: bool) -> Iterable[CloseSent]:
    """Our closes whose fills may still come; with `ended` also those over, whose fills may not be stored.

    That a close is over, with none after it, may not have been told: without, what a trader closes later
    would be taken for ours.
    """
    told = dict[tuple[ContractId, bool], CloseSent]()
    for shut in turn.shut:
        if not ended and shut.contract in turn.pursuits:
            continue
        key = shut.contract, shut.size > 0
        size = shut.size + (told[key].size if key in told else 0)
        told[key] = CloseSent(shut.contract, size, shut.cause, turn.now.mono, shut.until)
    cause = OwnClose.LOCKOUT if turn.lockouts.locked else OwnClose.REDUCE
    for pursuit in turn.pursuits.values():
        call = pursuit.call
        if call.kind in (CallKind.CLOSE, CallKind.PARTIAL_CLOSE):
            claims = call.size if ended else max(pursuit.claims, call.size)
            size = claims if pursuit.before > 0 else -claims
            key = call.contract, size > 0
            size += told[key].size if key in told else 0
            told[key] = CloseSent(call.contract, size, cause, turn.now.mono)
    return told.values()


def _tell_all(turn: Turn, *, ended: bool = False) -> None:
    """Tell the account of our closes and the store of everything in force; both take it twice."""
    now = turn.now
    turn.after.extend(TellAccount(close) for close in _closes(turn, ended=ended))
    turn.after.extend(LockoutSet(one, now.wall, False, again=True) for one in turn.lockouts.in_force)
    for done in turn.closed:
        turn.after.extend(BreachSeen(breach, Mode.ARMED) for breach in done.receipt.seen)
        turn.after.append(ReceiptChanged(done.receipt, done.verified_at, done.verified_ms))
        turn.after.extend(_demands_of(done.receipt))
    for receipt in turn.receipts.values():
        turn.after.extend(BreachSeen(breach, Mode.ARMED) for breach in receipt.seen)
        turn.after.append(ReceiptChanged(receipt))
        turn.after.extend(_flattens(turn, receipt))
    for one in turn.standing:
        opened = turn.receipts.get(one.receipt)
        if opened is not None:
            turn.after.append(
                DemandRaised(one.rule, one.demand, opened.opened_at, Mode.ARMED, opened.seen, opened.id)
            )
