"""Lockouts as rules ask for them: how long, and which one stands when there are several.

A rule repeats its lock for as long as the breach lasts, so that a lost verdict changes nothing. A lock
begun by a new breach is asked for once even beside a longer one: an admin may have lifted the longer
one, which the rule cannot know.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Literal, Protocol

from actors.messages import Breach, ContractId, Lock, LockKind


class Resets(Protocol):
    """What a lock needs of the trading calendar."""

    def next_reset(self, instant: datetime) -> datetime: ...


def lock_for(
    breach: Breach,
    length: Literal["until_reset"] | timedelta,
    calendar: Resets,
    *,
    flatten: bool,
    close: tuple[ContractId, ...] = (),
) -> Lock:
    """The lock that a breach brings, reckoned from the event's own timestamp."""
    if isinstance(length, timedelta):
        kind, until = LockKind.DURATION, breach.at + length
    else:
        kind, until = LockKind.UNTIL_RESET, calendar.next_reset(breach.at)
    return Lock(kind, breach.at, until, breach.text, flatten, breach.id, close)


def in_force(lock: Lock, now: datetime) -> bool:
    return lock.until is None or now < lock.until


def latest(locks: Iterable[Lock], now: datetime) -> Lock | None:
    """The last to end of those still in force; of two that end together the one begun later."""
    standing = [lock for lock in locks if in_force(lock, now)]
    return max(standing, key=lambda lock: (lock.until is None, lock.until or now, lock.since), default=None)


def asked_for(new: Iterable[Lock], standing: Iterable[Lock], now: datetime) -> Lock | None:
    """The lock to ask for: of breaches that just began, else of those that last."""
    return latest(new, now) or latest(standing, now)
