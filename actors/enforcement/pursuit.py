"""When a call may go out, and when again. Pure.

One call in flight per contract and per order. A full close may be repeated as soon as a read shows that
something is left; a partial close only counts as failed once no request can take effect any more.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

from actors.connection.codes import Meaning, meaning_of
from actors.messages import (
    AccountSnapshot,
    Called,
    CallKind,
    Now,
    Outcome,
)

from .closed import own_closed, took_effect
from .memory import Pursuit
from .needs import Close

CLOSES = (CallKind.CLOSE, CallKind.PARTIAL_CLOSE)
REFUSED_WAITS_S = (1.0, 2.0, 5.0, 10.0, 30.0)
"""Before the next attempt after the first, second, ... refusal in a row; the last one goes on for ever."""
UNKNOWN_WAITS_S = (0.0, 1.0, 2.0, 5.0, 10.0, 30.0)
"""The same where the outcome is unknown or the call had no effect: the first repeat waits for a read only."""
PERMANENT_WAIT_S = 60.0
UNREAD_S = 1.0
"""An unknown full close or cancel is repeated after this, should no read come through either."""
ALERT_AFTER = 3
ALERT_EVERY_S = 900.0
WRONG_SIZE = 5
"""partialCloseContract: InvalidCloseSize; not passing, although recomputed, it never will."""


class Act(Struct, frozen=True, gc=False):
    """Close so many contracts now."""

    kind: CallKind
    size: int


def next_close(
    pursuit: Pursuit | None, need: Close, snapshot: AccountSnapshot, now: Now, settle_s: float
) -> Act | None:
    """The close to send now for what is too much, if one may go. Never more than is open."""
    size = abs(need.size)
    whole = need.excess >= size or (pursuit is not None and pursuit.whole)
    if pursuit is None:
        return Act(CallKind.CLOSE, size) if whole else Act(CallKind.PARTIAL_CLOSE, need.excess)
    if pursuit.flying:
        return None
    if whole and took_effect(pursuit, snapshot):
        return Act(CallKind.CLOSE, size)
    if now.mono < pursuit.retry_mono:
        return None
    if whole:
        if (
            pursuit.call.kind is not CallKind.CLOSE
            or _turns(pursuit, need)
            or _may_repeat(pursuit, snapshot, now)
        ):
            return Act(CallKind.CLOSE, size)
        return None
    excess = need.excess - outstanding(pursuit, need, snapshot, settle_s)
    return Act(CallKind.PARTIAL_CLOSE, excess) if excess > 0 else None


def _turns(pursuit: Pursuit, need: Close) -> bool:
    """The position lies opposite to the one that the last close was sent for."""
    return pursuit.before * need.size < 0


def _may_repeat(pursuit: Pursuit, snapshot: AccountSnapshot, now: Now) -> bool:
    if pursuit.outcome is Outcome.REFUSED or snapshot.read_mono >= pursuit.ended_mono:
        return True
    return pursuit.outcome is Outcome.UNKNOWN and now.mono >= pursuit.ended_mono + UNREAD_S


def outstanding(pursuit: Pursuit, need: Close, snapshot: AccountSnapshot, settle_s: float) -> int:
    """Contracts that the last partial close may still take: they are not asked for a second time."""
    if pursuit.call.kind is not CallKind.PARTIAL_CLOSE or pursuit.outcome is Outcome.REFUSED:
        return 0
    if _turns(pursuit, need) or snapshot.read_mono > pursuit.sent_mono + settle_s:
        return 0
    seen = abs(pursuit.before) - abs(need.size)
    if pursuit.own_before >= 0:
        seen = max(seen, own_closed(snapshot, need.contract) - pursuit.own_before)
    return max(0, pursuit.call.size - max(0, seen))


def may_change_order(pursuit: Pursuit | None, snapshot: AccountSnapshot, now: Now) -> bool:
    """A cancel or a change of an order may go out (again)."""
    if pursuit is None:
        return True
    return not pursuit.flying and now.mono >= pursuit.retry_mono and _may_repeat(pursuit, snapshot, now)


def may_place(pursuit: Pursuit | None, snapshot: AccountSnapshot, now: Now, settle_s: float) -> bool:
    """An order may be placed (again): not before the open orders, re-read after no request can take
    effect any more, do not show it."""
    if pursuit is None:
        return True
    if pursuit.flying or now.mono < pursuit.retry_mono:
        return False
    return pursuit.outcome is Outcome.REFUSED or snapshot.read_mono > pursuit.sent_mono + settle_s


def answered(pursuit: Pursuit, called: Called) -> Pursuit:
    """The gateway answered, or did not: what that means for the next attempt."""
    failures = pursuit.failures + (called.outcome is not Outcome.CONFIRMED)
    whole = pursuit.whole or _refused_for_good(called, failures)
    wait_s = 0.0 if whole and not pursuit.whole else _wait(called, failures)
    return msgspec.structs.replace(
        pursuit,
        outcome=called.outcome,
        sent_mono=called.sent_mono,
        ended_mono=called.done_mono,
        failures=failures,
        retry_mono=called.done_mono + wait_s,
        whole=whole,
    )


def _wait(called: Called, failures: int) -> float:
    if called.outcome is Outcome.CONFIRMED:
        return UNKNOWN_WAITS_S[min(failures, len(UNKNOWN_WAITS_S) - 1)]
    if called.outcome is Outcome.UNKNOWN:
        return UNKNOWN_WAITS_S[min(failures, len(UNKNOWN_WAITS_S)) - 1]
    if is_permanent(called):
        return PERMANENT_WAIT_S
    return REFUSED_WAITS_S[min(failures, len(REFUSED_WAITS_S)) - 1]


def is_permanent(called: Called) -> bool:
    """Documented as refused for good on this account."""
    return (
        called.outcome is Outcome.REFUSED and meaning_of(called.call.kind, called.code) is Meaning.PERMANENT
    )


def _refused_for_good(called: Called, failures: int) -> bool:
    """A part of the position, or a smaller order, is not to be had: the whole is."""
    if called.outcome is not Outcome.REFUSED:
        return False
    match called.call.kind:
        case CallKind.PARTIAL_CLOSE:
            return is_permanent(called) or (called.code == WRONG_SIZE and failures >= ALERT_AFTER)
        case CallKind.MODIFY:
            return is_permanent(called) or failures >= ALERT_AFTER
        case _:
            return False


def sent_again(
    pursuit: Pursuit | None, size: int, kind: CallKind, snapshot: AccountSnapshot | None = None
) -> tuple[int, float | None, bool]:
    """Failures so far, time of the last alert and whether only the whole is to be had, for the next call.

    A call that was confirmed and changed nothing counts as a failure; one that changed something ends them.
    """
    if pursuit is None:
        return 0, None, False
    effective = snapshot is not None and took_effect(pursuit, snapshot)
    if kind is not CallKind.CANCEL and (size != pursuit.before or effective):
        return 0, pursuit.alerted_mono, pursuit.whole
    idle = pursuit.outcome is Outcome.CONFIRMED
    return pursuit.failures + idle, pursuit.alerted_mono, pursuit.whole


def alert_due(pursuit: Pursuit, now: Now) -> bool:
    """Three failures in a row, and then every quarter of an hour."""
    if pursuit.failures < ALERT_AFTER:
        return False
    return pursuit.alerted_mono is None or now.mono - pursuit.alerted_mono >= ALERT_EVERY_S
