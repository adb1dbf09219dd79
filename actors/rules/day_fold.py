"""What is worked out from all fills of the day, going on from where it stood.

A machine judges the whole day at every fill, for only so does it miss nothing, whatever came late or was
taken back. Nearly always the day has only grown by a fill, and then what was worked out before still holds.
Whether it does is seen by comparing the fills themselves, so the answer is that of working it out afresh.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

from msgspec import Struct

from actors.messages import AccountId, AccountSnapshot, BookedFill, FillId

REMEMBERED = 15
"""Sums kept besides the newest."""


class Sum[S](Struct, frozen=True, gc=False):
    """What these fills add up to."""

    fills: tuple[BookedFill, ...]
    newest: BookedFill | None
    value: S


class DayFold[S]:
    """Adds up the day's fills in the exchange's order. `step` must not change the value that it is given.

    Safe to ask from any thread: what is remembered is one value, replaced whole. The account asks for its
    newest fills while a rule still judges earlier ones, so some sums are remembered, not only the last.
    """

    def __init__(self, first: S, step: Callable[[S, BookedFill], S]) -> None:
        self._first, self._step = first, step
        self._sums: tuple[Sum[S], ...] = ()

    def of(self, fills: tuple[BookedFill, ...]) -> S:
        """What the fills, in whatever order they came, add up to."""
        sums = self._sums
        for known in reversed(sums):
            if known.fills is fills:
                return known.value
        added = self._added_to(sums, fills)
        self._sums = (*sums[-REMEMBERED:], added)
        return added.value

    def _added_to(self, sums: tuple[Sum[S], ...], fills: tuple[BookedFill, ...]) -> Sum[S]:
        for known in reversed(sums):
            # Unchanged fills are the same objects: comparing them takes nanoseconds each.
            if len(known.fills) <= len(fills) and fills[: len(known.fills)] == known.fills:
                more = in_order(fills[len(known.fills) :])
                if known.newest is None or not more or _when(known.newest) <= _when(more[0]):
                    return self._with(known, fills, more)
        return self._with(Sum((), None, self._first), fills, in_order(fills))

    def _with(self, known: Sum[S], fills: tuple[BookedFill, ...], more: list[BookedFill]) -> Sum[S]:
        value = known.value
        for booked in more:
            value = self._step(value, booked)
        return Sum(fills, more[-1] if more else known.newest, value)


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
