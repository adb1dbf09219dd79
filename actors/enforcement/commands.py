"""What people, the supervisor and the clock order: locks by hand, unlocks, resets, expiries."""

from __future__ import annotations

from actors.messages import (
    AccountFlat,
    DayReset,
    FlattenByHand,
    Lock,
    LockByHand,
    LockKind,
    SupervisorLock,
    Unlock,
)

from . import lockouts as locks
from .effects import Accepted, Answer, Denied, Unlocked
from .turn import Turn
from .verdicts import flatten_all, raise_demand

GIVEN_UP = " was given up: "
"""Between the rule's name and the reason, in the words of the supervisor's lockout."""


def lock_by_hand(turn: Turn, command: LockByHand) -> None:
    """Lock until a time or until lifted; with `flatten` also close everything."""
    if locks.is_over(command.until, turn.now.wall):
        turn.after.append(
            Answer(Denied(f"cannot lock until {command.until:%Y-%m-%d %H:%M:%S %Z}: that is past"))
        )
        return
    reason = f"{command.reason} (by {command.by})" if command.reason else f"locked by {command.by}"
    wish = Lock(LockKind.MANUAL, turn.now.wall, command.until, reason, command.flatten)
    changed = turn.lock(locks.MANUAL, wish)
    receipt = None
    if command.flatten:
        in_force = turn.lockouts.of(locks.MANUAL)
        assert in_force is not None
        receipt = flatten_all(turn, in_force, (), turn.now.mono)
    text = "locked" if changed is not None else "locked already, and not for less long"
    turn.after.append(Answer(Accepted(receipt, text)))


def flatten_by_hand(turn: Turn, command: FlattenByHand) -> None:
    """Close everything and cancel all, once; no lockout."""
    standing = [one for one in turn.standing if one.rule == locks.MANUAL and one.acts]
    if standing:
        receipt = standing[0].receipt
    else:
        turn.standing = [one for one in turn.standing if one.rule != locks.MANUAL]
        receipt = raise_demand(turn, locks.MANUAL, AccountFlat(), (), turn.now.mono, demanded=False)
    turn.notify("warning", f"flatten ordered by {command.by}", f"enforcement/flatten/{receipt}")
    turn.after.append(Answer(Accepted(receipt, "flattening")))


def unlock(turn: Turn, command: Unlock) -> None:
    """Lift what can be lifted. Where the condition still holds it is refused and says what would help."""
    if command.rule is not None and turn.lockouts.of(command.rule) is None:
        turn.after.append(Answer(Denied(f"cannot unlock {command.rule}: it has no lockout in force")))
        return
    if not turn.lockouts.locked:
        turn.after.append(Answer(Denied("cannot unlock: the account is not locked")))
        return
    holds = {rule: heard.holds for rule, heard in turn.heard.items() if heard.holds is not None}
    newest = {
        rule: heard.locked_since for rule, heard in turn.heard.items() if heard.locked_since is not None
    }
    left, over, refused = locks.unlock(turn.lockouts, command.rule, holds, newest, turn.now.wall)
    turn.end(left, over)
    turn.after.append(Answer(Unlocked(tuple(one.rule for one in over), refused)))


def supervisor_lock(turn: Turn, command: SupervisorLock) -> None:
    """Lock and flatten while an armed rule is given up; over once all of them run again."""
    if command.on:
        if command.rule not in turn.given_up:
            turn.given_up = (*turn.given_up, command.rule)
        reason = f"{command.rule}{GIVEN_UP}{command.reason}"
        wish = Lock(LockKind.CONDITION, turn.now.wall, None, reason, True)
        changed = turn.lock(locks.SUPERVISOR, wish)
        if changed is not None:
            flatten_all(turn, changed, (), turn.now.mono)
        return
    turn.given_up = tuple(rule for rule in turn.given_up if rule != command.rule)
    if not turn.given_up:
        turn.end(*locks.condition_over(turn.lockouts, locks.SUPERVISOR, turn.now.wall))


def rules_given_up(lockouts: locks.Lockouts) -> tuple[str, ...]:
    """Whose actor the supervisor's lockout stands for, where only the store remembered it."""
    one = lockouts.of(locks.SUPERVISOR)
    return () if one is None else (one.reason.partition(GIVEN_UP)[0],)


def safe_mode(turn: Turn, *, on: bool) -> None:
    """No rules run: freeze risk, keep what is open; over at the first start with rules."""
    if on:
        reason = "safe mode: no rule is guarding"
        turn.lock(locks.SAFE_MODE, Lock(LockKind.CONDITION, turn.now.wall, None, reason, False))
    else:
        turn.end(*locks.condition_over(turn.lockouts, locks.SAFE_MODE, turn.now.wall))


def day_reset(turn: Turn, event: DayReset) -> None:
    """The trading day began: `until_reset` ends, and only that; attempts are counted anew."""
    turn.end(*locks.reset(turn.lockouts, event.at))
    turn.attempts = 0


def pass_time(turn: Turn) -> None:
    """Trusted time has come so far: end what has expired."""
    turn.end(*locks.expire(turn.lockouts, turn.now.wall))


def follow_down(turn: Turn) -> None:
    """Frozen sizes follow the positions down; not while a position is disputed, which may be wrong."""
    sizes = turn.sizes()
    if sizes is None or turn.snapshot is None or turn.snapshot.suspended or turn.lockouts.flattens:
        return
    turn.shrink(sizes)
