"""What is worked out from all fills of the day, going on from where it stood.

A machine judges the whole day at every fill, for only so does it miss nothing, whatever came late or was
taken back. Nearly always the day has only grown by a fill, and then what was worked out before still holds.
Whether it does is seen by comparing the fills themselves, so the answer is that of working it out afresh.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

from actors.messages import AccountId, AccountSnapshot, BookedFill, FillId


class DayFold[S]:
    """Adds up the day's fills in the exchange's order. `step` must not change the value that it is given.

    Safe to ask from any thread: what is remembered is one value, replaced whole.
    """

    def __init__(self, first: S, step: Callable[[S, BookedFill], S]) -> None:
        self._first, self._step = first, step
        self._known: tuple[tuple[BookedFill, ...], BookedFill | None, S] = ((), None, first)

    def of(self, fills: tuple[BookedFill, ...]) -> S:
        """What the fills, in whatever order they came, add up to."""
        known, newest, value = self._known
        if fills is known:
            return value
        # Unchanged fills are the same objects: comparing them takes nanoseconds each.
        more = in_order(fills[len(known) :]) if fills[: len(known)] == known else None
        if more is None or (newest is not None and more and _when(more[0]) < _when(newest)):
            more, newest, value = in_order(fills), None, self._first
        for booked in more:
            value = self._step(value, booked)
        self._known = (fills, more[-1] if more else newest, value)
        return value


class AccountFolds[S]:
    """The same for every account, where nobody who belongs to one account could keep it."""

    def __init__(self, first: S, step: Callable[[S, BookedFill], S]) -> None:
        self._first, self._step = first, step
        self._folds: dict[AccountId, DayFold[S]] = {}

    def of(self, snapshot: AccountSnapshot) -> S:
        fold = self._folds.get(snapshot.account)
        if fold is None:
            fold = self._folds.setdefault(snapshot.account, DayFold(self._first, self._step))
        return fold.of(snapshot.fills)


def in_order(fills: Iterable[BookedFill]) -> list[BookedFill]:
    """By the exchange's time: the order of arrival must not matter."""
    return sorted(fills, key=_when)


def _when(booked: BookedFill) -> tuple[datetime, FillId]:
    return booked.fill.at, booked.fill.id


def _with(day: tuple[BookedFill, ...], booked: BookedFill) -> tuple[BookedFill, ...]:
    return (*day, booked)


ORDERED = AccountFolds[tuple[BookedFill, ...]]((), _with)
"""The day's fills of an account by the exchange's time."""
