"""Driving the account to where it must be: calls out, answers in, verified by a read.

A receipt is verified only by a read of the account that began after its last call had ended and shows
nothing left to do.
"""

from __future__ import annotations

from datetime import timedelta
from typing import assert_never

import msgspec

from actors.messages import (
    AccountFlat,
    AccountSnapshot,
    Called,
    CallKind,
    CloseSent,
    CloseVerified,
    Order,
    Outcome,
    OwnClose,
)

from . import managing
from .attempts import count_attempts
from .closed import own_closed
from .effects import AskRead, ReceiptChanged, TellAccount
from .memory import OpenReceipt, Pursuit, Standing
from .needs import Cancel, Close, Cut, Limits, Need, limits_of, met, needs_of
from .order_calls import order_key
from .orders import beside
from .pursuit import (
    UNREAD_S,
    Act,
    alert_due,
    answered,
    may_change_order,
    next_close,
    outstanding,
    sent_again,
)
from .receipts import call_record
from .turn import Turn

NO_RECEIPT = ""
"""Of a pursuit whose receipt is closed while its last call may still take effect."""
ASK_AGAIN_S = 3.0
"""A read that was asked for and did not come is asked for again after this."""


def act(turn: Turn) -> None:
    """Compare the account with what must hold; send what may go out; verify what complies."""
    snapshot = turn.snapshot
    if snapshot is None:
        _ask_read(turn, 0.0)
        return
    managing.look_after_ours(turn, snapshot)
    limits = limits_of(turn.lockouts, turn.standing)
    needs = needs_of(limits, snapshot, turn.pursuits) if limits.anything or turn.pursuits else []
    count_attempts(turn, needs, was_locked=turn.plan.memory.lockouts.locked)
    lacking = {_drive(turn, snapshot, need) for need in needs}
    lacking |= managing.manage(turn, snapshot, limits)
    for receipt in tuple(turn.receipts.values()):
        if receipt.id not in lacking:
            _verify(turn, snapshot, limits, receipt)
    _ask_read(turn, snapshot.read_mono)


def _drive(turn: Turn, snapshot: AccountSnapshot, need: Need) -> str:
    """Send what this need may send now; the id of the receipt that lacks it."""
    receipt = turn.account_receipt().id if need.receipt is None else need.receipt
    match need:
        case Close():
            _drive_close(turn, snapshot, need, receipt)
        case Cancel(order=order):
            _drive_order(turn, snapshot, order, None, receipt)
        case Cut(order=order, size=size):
            _drive_order(turn, snapshot, order, size, receipt)
        case _:
            assert_never(need)
    return receipt


def _drive_close(turn: Turn, snapshot: AccountSnapshot, need: Close, receipt: str) -> None:
    pursuit = turn.pursuits.get(need.contract)
    if need.turned:
        turn.note(
            receipt,
            f"an opposite position of {need.size:+d} {need.contract} came up beside the close: closed too",
        )
    todo = next_close(pursuit, need, snapshot, turn.now, turn.settle_s)
    if todo is not None:
        _send_close(turn, snapshot, need, todo, receipt)


def _send_close(turn: Turn, snapshot: AccountSnapshot, need: Close, todo: Act, receipt: str) -> None:
    contract, size = need.contract, need.size
    before = turn.pursuits.get(contract)
    failures, alerted, whole = sent_again(before, size, todo.kind, snapshot)
    if before is not None:
        turn.close_over(before)
    call = turn.call(receipt, todo.kind, contract, size=todo.size)
    # Fills of a partial close before it may all still be to come.
    claims = todo.size + (0 if before is None else outstanding(before, need, snapshot, turn.settle_s))
    pursuit = Pursuit(
        call,
        receipt,
        turn.now.mono,
        before=size,
        own_before=own_closed(snapshot, contract),
        claims=claims,
        beside=tuple(order.id for order in beside(snapshot.orders, contract, size)),
        failures=failures,
        whole=whole,
        alerted_mono=alerted,
        turned=need.turned,
    )
    turn.pursuits[contract] = _alerted_idle(turn, before, pursuit)
    cause = OwnClose.LOCKOUT if turn.lockouts.locked else OwnClose.REDUCE
    asked = claims if size > 0 else -claims
    turn.after.append(TellAccount(CloseSent(contract, asked, cause, turn.now.mono)))


def _drive_order(turn: Turn, snapshot: AccountSnapshot, order: Order, size: int | None, receipt: str) -> None:
    """Cancel an order, or cut what may still fill of it to `size`."""
    key = order_key(order.id)
    before = turn.pursuits.get(key)
    if not may_change_order(before, snapshot, turn.now):
        return
    if size is None or (before is not None and before.whole):
        kind, total = CallKind.CANCEL, 0
    else:
        kind, total = CallKind.MODIFY, abs(order.filled) + size
    failures, alerted, whole = sent_again(before, 0, kind, snapshot)
    call = turn.call(receipt, kind, order.contract, size=total, order=order.id)
    pursuit = Pursuit(call, receipt, turn.now.mono, failures=failures, whole=whole, alerted_mono=alerted)
    turn.pursuits[key] = _alerted_idle(turn, before, pursuit)


# ------------------------------------------------------------------------------ answers


def take_answer(turn: Turn, called: Called) -> None:
    """The gateway's answer to one call, or that there was none."""
    key = next((k for k, p in turn.pursuits.items() if p.call.id == called.call.id), None)
    if key is None or not _is_news(turn.pursuits[key], called):
        return
    before = turn.pursuits[key]
    pursuit = answered(before, called)
    receipt = turn.receipts.get(before.receipt)
    if receipt is not None:
        _record(turn, receipt, called)
    if called.outcome is not Outcome.CONFIRMED:
        pursuit = _alerted(turn, pursuit, _said(called))
    turn.pursuits[key] = pursuit
    if pursuit.whole and not before.whole and called.call.kind is CallKind.PARTIAL_CLOSE:
        text = (
            f"partial close of {called.call.contract} is refused for good ({_said(called)}): closing it whole"
        )
        turn.notify("error", text, f"enforcement/whole/{called.call.id}")
        if receipt is not None:
            turn.note(receipt.id, text)
    managing.placed(turn, called)


def _is_news(pursuit: Pursuit, called: Called) -> bool:
    """A call handed over twice is answered twice; an answer after nobody waited any more still tells."""
    if pursuit.flying:
        return True
    return pursuit.outcome is Outcome.UNKNOWN and called.outcome is not Outcome.UNKNOWN


def _record(turn: Turn, receipt: OpenReceipt, called: Called) -> None:
    first = receipt.first_call_mono
    error = receipt.last_error
    if called.outcome is not Outcome.CONFIRMED:
        error = f"{called.call.kind.value} {called.call.contract}: {_said(called)}"
    changed = msgspec.structs.replace(
        receipt,
        calls=(*receipt.calls, call_record(called)),
        ended_mono=max(receipt.ended_mono, called.done_mono),
        first_call_mono=called.sent_mono if first is None else min(first, called.sent_mono),
        last_error=error,
    )
    turn.change(changed)
    turn.after.append(ReceiptChanged(changed))


def _said(called: Called) -> str:
    code = "" if called.code is None else f", code {called.code}"
    return f"{called.outcome.value}{code}: {called.text}"


def _alerted(turn: Turn, pursuit: Pursuit, why: str) -> Pursuit:
    """After three failures in a row, and every quarter of an hour, somebody must know."""
    if not alert_due(pursuit, turn.now):
        return pursuit
    call = pursuit.call
    what = call.contract if call.order is None else f"order {call.order} in {call.contract}"
    turn.notify(
        "critical",
        f"cannot {call.kind.value.replace('_', ' ')} {what}: {why}. Tried {pursuit.failures} times and "
        "still trying; close it in the broker's own screen.",
        f"enforcement/failing/{call.id}",
    )
    return msgspec.structs.replace(pursuit, alerted_mono=turn.now.mono)


def _alerted_idle(turn: Turn, before: Pursuit | None, pursuit: Pursuit) -> Pursuit:
    """A call that is sent again because the one before was confirmed and changed nothing."""
    if before is None or before.outcome is not Outcome.CONFIRMED:
        return pursuit
    return _alerted(turn, pursuit, "nothing changed although the gateway confirmed")


def give_up_waiting(turn: Turn) -> None:
    """A call without any answer by the time it must have ended counts as unknown."""
    for key, pursuit in tuple(turn.pursuits.items()):
        waited = turn.now.mono - pursuit.sent_mono
        if pursuit.receipt == NO_RECEIPT and waited > turn.settle_s:
            _drop(turn, key, pursuit)
        if pursuit.flying and waited > turn.settle_s:
            at = turn.now.wall - timedelta(seconds=waited)
            text = f"no answer within {waited:.1f} s"
            take_answer(
                turn, Called(pursuit.call, Outcome.UNKNOWN, None, text, at, pursuit.sent_mono, turn.now.mono)
            )


# ------------------------------------------------------------------------------ verified


def _verify(turn: Turn, snapshot: AccountSnapshot, limits: Limits, receipt: OpenReceipt) -> None:
    if any(p.flying and p.receipt == receipt.id for p in turn.pursuits.values()):
        return
    if snapshot.read_mono < receipt.read_from or snapshot.suspended:
        return
    unmet = [
        one
        for one in turn.standing
        if one.receipt == receipt.id and one.settled is None and not _complies(one, snapshot, limits)
    ]
    if any(one.acts for one in unmet):
        return
    unlocked = AccountFlat() in receipt.demands and not limits.account_flat
    withdrawn = bool(unmet) or (unlocked and not met(AccountFlat(), snapshot))
    failed = receipt.managed and bool(receipt.calls) and receipt.calls[-1].outcome is not Outcome.CONFIRMED
    if withdrawn:
        receipt = msgspec.structs.replace(receipt, last_error="withdrawn: nothing asks for it any more")
    _settle(turn, snapshot, receipt)
    turn.close_receipt(receipt, verified=not (withdrawn or failed))


def _complies(one: Standing, snapshot: AccountSnapshot, limits: Limits) -> bool:
    """A flat account lacks nothing by now, or this would not be asked; the rest is looked at by itself."""
    if isinstance(one.demand, AccountFlat) and limits.account_flat:
        return True
    return met(one.demand, snapshot)


def _settle(turn: Turn, snapshot: AccountSnapshot, receipt: OpenReceipt) -> None:
    """What the receipt was opened for is over: standing demands rest, pursuits end."""
    kept = list[Standing]()
    for one in turn.standing:
        if one.receipt != receipt.id or one.settled is not None:
            kept.append(one)
        elif one.demanded:
            kept.append(msgspec.structs.replace(one, settled=snapshot.seq))
    turn.standing = kept
    for key, pursuit in tuple(turn.pursuits.items()):
        if pursuit.receipt == receipt.id:
            _end_pursuit(turn, snapshot, key, pursuit)


def _end_pursuit(turn: Turn, snapshot: AccountSnapshot, key: str, pursuit: Pursuit) -> None:
    kind = pursuit.call.kind
    once = kind in (CallKind.PARTIAL_CLOSE, CallKind.PLACE)
    if (
        once
        and pursuit.outcome is Outcome.UNKNOWN
        and snapshot.read_mono <= pursuit.sent_mono + turn.settle_s
    ):
        # It may still take effect: what comes next in this contract is reckoned with it.
        turn.pursuits[key] = msgspec.structs.replace(pursuit, receipt=NO_RECEIPT, before=0)
    else:
        _drop(turn, key, pursuit)


def _drop(turn: Turn, key: str, pursuit: Pursuit) -> None:
    del turn.pursuits[key]
    if pursuit.call.kind in (CallKind.CLOSE, CallKind.PARTIAL_CLOSE):
        turn.close_over(pursuit)
        turn.after.append(TellAccount(CloseVerified(pursuit.call.contract)))


def _ask_read(turn: Turn, read_mono: float) -> None:
    """Ask for the read that a receipt waits for, once, and again should it not come."""
    wanted = [_read_from(turn, receipt) for receipt in turn.receipts.values() if not receipt.managed]
    due = [mono for mono in wanted if mono is not None and read_mono < mono <= turn.now.mono]
    if not due:
        return
    if turn.read_asked < max(due) or turn.now.mono - turn.read_asked >= ASK_AGAIN_S:
        turn.read_asked = turn.now.mono
        turn.after.append(AskRead("to see whether the account complies"))


def _read_from(turn: Turn, receipt: OpenReceipt) -> float | None:
    """The moment from which a read would tell something new; None while calls are out, unless one hangs."""
    moment = receipt.read_from
    for pursuit in turn.pursuits.values():
        if pursuit.receipt != receipt.id:
            continue
        if pursuit.flying:
            answered_s = turn.now.mono - receipt.ended_mono
            return receipt.ended_mono if answered_s >= UNREAD_S else None
        if pursuit.call.kind is CallKind.PARTIAL_CLOSE and pursuit.outcome is not Outcome.REFUSED:
            settled = pursuit.sent_mono + turn.settle_s
            moment = max(moment, settled) if turn.now.mono > settled else moment
    return moment
