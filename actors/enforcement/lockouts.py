"""Lockouts in force on one account, one per rule. Pure.

The later expiry wins and nothing shortens one but the reset (for `until_reset`), the end of its own
condition, or an admin. The end of one never ends another. Compared with trusted time only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

import msgspec
from msgspec import Struct

from actors.messages import AccountId, Lock, LockKind, Lockout

MANUAL = "manual"
SUPERVISOR = "supervisor"
SAFE_MODE = "safe_mode"

COOLDOWN_RULES = frozenset({"trade_frequency_limit", "cooldown_after_loss", "loss_streak"})
"""Their lockouts come of trades that are over, whatever their length: ended by an admin, the same
trades never start them again. Every other lockout but a duration stands for something that still holds."""

REMEMBERED = 100
"""Ended lockouts kept in memory, the newest."""

WHAT_HELPS = {
    SUPERVISOR: "it ends by itself once the rule runs again; `actors tree` shows what fails",
    SAFE_MODE: "`restart` leaves safe mode",
    "auth_loss_guard": "the broker must allow trading again (canTrade)",
    "session_block_outside": "it ends when the session starts",
    "symbol_blocks": "take the root off the list first",
}
OTHERWISE_HELPS = "it ends at its expiry, or `reset` starts the day's figures from zero first"


class Over(Struct, frozen=True, gc=False):
    """A lockout that ended; kept so that an older copy of it in the store is not taken for one in force."""

    rule: str
    since: datetime
    at: datetime
    reason: str
    """`expired | reset | condition | admin`."""


class Refused(Struct, frozen=True, gc=False):
    """An unlock that was refused: what stands against it, and what would help."""

    rule: str
    text: str


class Lockouts(Struct, frozen=True, gc=False):
    """Every lockout in force, by rule name; and what must not start again."""

    in_force: tuple[Lockout, ...] = ()
    lifted: dict[str, datetime] = {}
    """Per rule whose lockout an admin ended: the newest event that ever locked by it. What happened
    up to then never starts it again, although the rule goes on asking for it."""
    over: tuple[Over, ...] = ()

    @property
    def locked(self) -> bool:
        return bool(self.in_force)

    @property
    def flattens(self) -> bool:
        """At least one asks for a flat account; otherwise risk is frozen as it was."""
        return any(lockout.flatten for lockout in self.in_force)

    @property
    def unlock_time(self) -> datetime | None:
        """The latest expiry; None when any has none, or when the account is not locked."""
        expiries = [lockout.until for lockout in self.in_force]
        if not expiries or None in expiries:
            return None
        return max(until for until in expiries if until is not None)

    def of(self, rule: str) -> Lockout | None:
        return next((lockout for lockout in self.in_force if lockout.rule == rule), None)


def lock(
    lockouts: Lockouts,
    account: AccountId,
    rule: str,
    wish: Lock,
    sizes: Mapping[str, int] | None,
    now: datetime,
) -> tuple[Lockouts, Lockout | None]:
    """Take a lock that a rule asks for; the lockout as it is now, or None when nothing changed.

    `sizes` is what is open (signed, per contract): the baseline of a lockout that freezes. A wish that
    is over by trusted time, or that an admin lifted, sets nothing.
    """
    if is_over(wish.until, now) or is_lifted(lockouts, rule, wish):
        return lockouts, None
    present = lockouts.of(rule)
    if present is None:
        new = Lockout(
            account,
            rule,
            wish.kind,
            wish.since,
            wish.until,
            wish.reason,
            wish.flatten,
            wish.breach,
            None if wish.flatten else _baseline(sizes, wish.close),
        )
    else:
        new = _stronger(present, wish)
        if new == present:
            return lockouts, None
    return _with(lockouts, new), new


def _stronger(present: Lockout, wish: Lock) -> Lockout:
    """Both at once: the later expiry, the flatten, the smaller sizes."""
    later = present.until is not None and (wish.until is None or wish.until > present.until)
    flatten = present.flatten or wish.flatten
    sizes = present.frozen_sizes
    return Lockout(
        present.account,
        present.rule,
        wish.kind if later else present.kind,
        present.since,
        wish.until if later else present.until,
        wish.reason if later else present.reason,
        flatten,
        wish.breach if later else present.breach,
        None if flatten or sizes is None else _baseline(sizes, wish.close),
    )


def _baseline(sizes: Mapping[str, int] | None, close: tuple[str, ...]) -> dict[str, int] | None:
    if sizes is None:
        return None
    return {contract: size for contract, size in sizes.items() if size and contract not in close}


def _with(lockouts: Lockouts, *new: Lockout) -> Lockouts:
    names = {lockout.rule for lockout in new}
    rest = [lockout for lockout in lockouts.in_force if lockout.rule not in names]
    in_force = tuple(sorted([*rest, *new], key=lambda lockout: lockout.rule))
    return msgspec.structs.replace(lockouts, in_force=in_force)


# ------------------------------------------------------------------------------ how they end


def is_lifted(lockouts: Lockouts, rule: str, wish: Lock) -> bool:
    lifted = lockouts.lifted.get(rule)
    return lifted is not None and wish.since <= lifted


def is_over(until: datetime | None, now: datetime) -> bool:
    return until is not None and until <= now


def expire(lockouts: Lockouts, now: datetime) -> tuple[Lockouts, tuple[Over, ...]]:
    """End what has reached its expiry; an `until_reset` that did is over by the reset."""
    ended = [
        Over(one.rule, one.since, now, "reset" if one.kind is LockKind.UNTIL_RESET else "expired")
        for one in lockouts.in_force
        if is_over(one.until, now)
    ]
    return _end(lockouts, ended)


def reset(lockouts: Lockouts, at: datetime) -> tuple[Lockouts, tuple[Over, ...]]:
    """The trading day began at `at`: ends `until_reset` of the day before, and nothing else."""
    ended = [
        Over(one.rule, one.since, at, "reset")
        for one in lockouts.in_force
        if one.kind is LockKind.UNTIL_RESET and one.since < at
    ]
    return _end(lockouts, ended)


def condition_over(lockouts: Lockouts, rule: str, at: datetime) -> tuple[Lockouts, tuple[Over, ...]]:
    """The condition of the rule's own condition lockout no longer holds."""
    one = lockouts.of(rule)
    if one is None or one.kind is not LockKind.CONDITION:
        return lockouts, ()
    return _end(lockouts, [Over(rule, one.since, at, "condition")])


def unlock(
    lockouts: Lockouts,
    rule: str | None,
    holds: Mapping[str, str],
    newest: Mapping[str, datetime],
    at: datetime,
) -> tuple[Lockouts, tuple[Over, ...], tuple[Refused, ...]]:
    """An admin lifts the lockout of `rule` (None: all that can be).

    `holds` names, per rule, the breach or condition that stands now: where it does, unlocking would
    change nothing of what the rule sees, and is refused. `newest` is the newest event that each rule
    asked to lock for; of a rule not heard since a restart everything up to now counts as lifted.
    """
    ended, refused, lifted = list[Over](), list[Refused](), dict(lockouts.lifted)
    for one in lockouts.in_force:
        if rule is not None and one.rule != rule:
            continue
        standing = _stands(one, holds)
        if standing is not None:
            refused.append(Refused(one.rule, standing))
            continue
        ended.append(Over(one.rule, one.since, at, "admin"))
        if one.kind is not LockKind.MANUAL:
            lifted[one.rule] = max(one.since, newest.get(one.rule, at))
    left, over = _end(lockouts, ended)
    return msgspec.structs.replace(left, lifted=lifted), over, tuple(refused)


def is_cooldown(lockout: Lockout) -> bool:
    return lockout.kind is LockKind.DURATION or lockout.rule in COOLDOWN_RULES


def _stands(one: Lockout, holds: Mapping[str, str]) -> str | None:
    if one.kind is LockKind.MANUAL or is_cooldown(one):
        return None
    if one.rule in (SUPERVISOR, SAFE_MODE):
        return f"{one.reason}. {WHAT_HELPS[one.rule]}"
    if one.rule not in holds:
        return None
    return f"{holds[one.rule]}. {WHAT_HELPS.get(one.rule, OTHERWISE_HELPS)}"


def _end(lockouts: Lockouts, ended: Iterable[Over]) -> tuple[Lockouts, tuple[Over, ...]]:
    done = tuple(ended)
    if not done:
        return lockouts, ()
    names = {over.rule for over in done}
    in_force = tuple(one for one in lockouts.in_force if one.rule not in names)
    return Lockouts(in_force, lockouts.lifted, (*lockouts.over, *done)[-REMEMBERED:]), done


# ------------------------------------------------------------------------------ frozen risk


def frozen(lockouts: Lockouts) -> dict[str, int] | None:
    """The size, signed, that each contract may keep (nothing where it is not named); None: not frozen."""
    baselines = [
        one.frozen_sizes for one in lockouts.in_force if not one.flatten and one.frozen_sizes is not None
    ]
    if not baselines:
        return None
    smallest = baselines[0]
    for other in baselines[1:]:
        smallest = shrunk(smallest, other)
    return smallest


def shrink(lockouts: Lockouts, sizes: Mapping[str, int]) -> tuple[Lockouts, tuple[Lockout, ...]]:
    """Note what is open now: frozen sizes follow it down and never up; an unknown baseline becomes it."""
    changed = list[Lockout]()
    for one in lockouts.in_force:
        if one.flatten:
            continue
        open_now = {contract: size for contract, size in sizes.items() if size}
        kept = open_now if one.frozen_sizes is None else shrunk(one.frozen_sizes, open_now)
        if kept != one.frozen_sizes:
            changed.append(msgspec.structs.replace(one, frozen_sizes=kept))
    return (_with(lockouts, *changed) if changed else lockouts), tuple(changed)


def shrunk(baseline: Mapping[str, int], sizes: Mapping[str, int]) -> dict[str, int]:
    """The smaller of both per contract; a side that turned keeps nothing."""
    left = {
        c: size if abs(size) < abs(baseline[c]) else baseline[c] for c, size in sizes.items() if c in baseline
    }
    return {c: size for c, size in left.items() if (size > 0) == (sizes[c] > 0) == (baseline[c] > 0)}


# ------------------------------------------------------------------------------ after a restart


def rejoin(
    remembered: Lockouts, stored: Iterable[Lockout]
) -> tuple[Lockouts, tuple[tuple[Over, Lockout], ...]]:
    """What memory holds and what the store holds, after a restart: everything that either has in force.

    A stored one that memory knows to be over is not in force: its end had not reached the store and is
    returned, to be stored again. Of one that both have the stronger counts, should memory be the older.
    """
    lockouts, late = remembered, list[tuple[Over, Lockout]]()
    for one in stored:
        over = next((o for o in remembered.over if (o.rule, o.since) == (one.rule, one.since)), None)
        present = lockouts.of(one.rule)
        if over is not None:
            late.append((over, one))
        elif present is None:
            lockouts = _with(lockouts, one)
        else:
            wish = Lock(one.kind, one.since, one.until, one.reason, one.flatten, one.breach)
            lockouts = _with(lockouts, _stronger(present, wish))
    return lockouts, tuple(late)
