"""What enforcement did, as plain counts: of the trading day, and since the daemon started.

Fed with the effects whose rows go to the store, after the calls went out. What is said again after a restart
is counted once, because everything is kept under its id; `recall` takes up the day from its history.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any

from msgspec import Struct

from actors.messages import CallKind, HistoryKind, Outcome
from actors.persistence.keys import history_id
from actors.tally import Tally

from .effects import BreachSeen, Effect, LockoutSet, ReceiptChanged

KINDS = (HistoryKind.BREACH, HistoryKind.LOCKOUT, HistoryKind.ENFORCEMENT)
"""The lines of history that a day's counts are taken up from."""
DAY_LINES = 10_000

type Words = tuple[str, str]


class DayCounts(Struct, frozen=True):
    """One account and trading day."""

    breaches: dict[Words, int] = {}
    """By rule and mode."""
    calls: dict[Words, int] = {}
    """By kind and outcome."""
    lockouts: dict[str, int] = {}
    """By rule."""

    @property
    def cancelled(self) -> int:
        return self.calls.get((CallKind.CANCEL.value, Outcome.CONFIRMED.value), 0)


class Counts:
    """One account's. Its enforcement actor feeds it; anybody may read at any moment."""

    def __init__(self) -> None:
        self.total = Tally()
        self._day = date.min
        self._breaches: dict[str, Words] = {}
        self._lockouts: dict[tuple[str, datetime], str] = {}
        self._calls: dict[str, tuple[Words, ...]] = {}
        self._counted: dict[str, int] = {}
        """Calls counted of each receipt; those of a receipt that was open at the reset stay known."""

    def of(self, day: date) -> DayCounts:
        """The counts of that trading day: zero until something of it was fed."""
        if day != self._day:
            return DayCounts()
        calls = [words for of_one in list(self._calls.values()) for words in of_one]
        breaches, lockouts = list(self._breaches.values()), list(self._lockouts.values())
        return DayCounts(dict(Counter(breaches)), dict(Counter(calls)), dict(Counter(lockouts)))

    def feed(self, effect: Effect, day: date) -> None:
        match effect:
            case BreachSeen(breach=breach, mode=mode):
                self._begin(day)
                if breach.id not in self._breaches:
                    self._breaches[breach.id] = (breach.rule, mode.value)
                    self.total.add("breach", breach.rule, mode.value)
            case LockoutSet(lockout=lockout, new=True):
                self._begin(day)
                key = (lockout.rule, lockout.since)
                if key not in self._lockouts:
                    self._lockouts[key] = lockout.rule
                    self.total.add("lockout", lockout.rule)
            case ReceiptChanged():
                self._begin(day)
                self._receipt(effect)
            case _:
                return

    def _receipt(self, changed: ReceiptChanged) -> None:
        receipt = changed.receipt
        before = self._counted.get(receipt.id, 0)
        fresh = receipt.calls[before:]
        self._counted[receipt.id] = max(before, len(receipt.calls))
        for call in fresh:
            self.total.add("call", call.call.value, call.outcome.value)
            self.total.took(call.took_ms / 1e3, "call", call.call.value)
        if fresh and not before and receipt.first_call_mono is not None:
            self.total.took(receipt.first_call_mono - receipt.breach_mono, "breach_to_call")
        if changed.verified_ms is not None:
            self.total.took(changed.verified_ms / 1e3, "breach_to_verified")
        if fresh:
            told = tuple((call.call.value, call.outcome.value) for call in fresh)
            self._calls[receipt.id] = self._calls.get(receipt.id, ()) + told

    def _begin(self, day: date) -> None:
        if day == self._day:
            return
        self._counted = {id_: self._counted[id_] for id_ in self._calls}
        self._day, self._breaches, self._lockouts, self._calls = day, {}, {}, {}

    def recall(self, day: date, account: str, lines: Iterable[Mapping[str, Any]]) -> None:
        """Take up the day from its history: what a daemon before this one counted."""
        self._begin(day)
        for line in lines:
            match line["kind"]:
                case HistoryKind.BREACH:
                    id_ = str(line["id"]).removeprefix(history_id(HistoryKind.BREACH, account, ""))
                    self._breaches[id_] = (line["rule"], line["mode"])
                case HistoryKind.LOCKOUT:
                    self._lockouts[line["rule"], datetime.fromisoformat(line["since"])] = line["rule"]
                case HistoryKind.ENFORCEMENT:
                    calls = tuple((call["call"], call["outcome"]) for call in line["calls"])
                    self._counted[line["receipt"]] = len(calls)
                    self._calls[line["receipt"]] = calls
