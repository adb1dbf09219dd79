"""A rest from trading, begun by one fill: what the three rules that count trades and losses share.

Which fills begin a rest is worked out afresh from the day's fills, so a rest that nobody saw begin
is found late, and one already over by its own timestamps is recorded without a lockout.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from msgspec import Struct

from actors.messages import AccountSnapshot, BookedFill, Breach, Lock, Notice, Now

from .episodes import UNNUMBERED, Episodes, follow, on_day
from .locks import Resets, asked_for, in_force, lock_for
from .machine import Machine, breaches_of
from .rule import Judgement, Wake

type Length = Literal["until_reset"] | timedelta


class Rest(Struct, frozen=True, gc=False):
    """A fill that begins a rest, and how long it is."""

    breach: Breach
    length: Length
    lasts: bool = False
    """What began it is still so, rest or no rest."""


class Resting(Machine[Episodes]):
    """The machine of a rule that rests; a subclass finds the fills."""

    wakes_on = frozenset({Wake.FILL, Wake.TIME, Wake.RESET})

    def __init__(self, calendar: Resets, *, flatten: bool) -> None:
        self._calendar, self._flatten = calendar, flatten

    def initial(self) -> Episodes:
        return Episodes()

    def rests(self, snapshot: AccountSnapshot, now: Now) -> list[Rest]:
        """Every rest that the day's fills began, in the exchange's order."""
        raise NotImplementedError

    def alerts(
        self, episodes: Episodes, snapshot: AccountSnapshot, now: Now
    ) -> tuple[Episodes, tuple[Notice, ...]]:
        """No alert before the limit, unless it says otherwise."""
        return episodes, ()

    def judge(self, state: Episodes, snapshot: AccountSnapshot, now: Now) -> Judgement[Episodes]:
        before = on_day(state, snapshot.day)
        rests = {rest.breach.cause: rest for rest in self.rests(snapshot, now)}
        seen = {cause: rest.breach for cause, rest in rests.items() if self._is_true(rest, before, now)}
        episodes = follow(before, self.name, snapshot.day, seen)
        new = [self._lock(b, rests[b.cause].length) for b in episodes.new_since(before)]
        standing = [self._lock(b, rests[b.cause].length) for b in episodes.open.values()]
        episodes, notices = self.alerts(episodes, snapshot, now)
        lock = asked_for(new, standing, now.wall)
        return Judgement(episodes, breaches_of(episodes), lock=lock, notices=notices)

    def _is_true(self, rest: Rest, before: Episodes, now: Now) -> bool:
        """While the rest runs, while its reason lasts, and once for a rest found after its end."""
        if rest.lasts or not before.began(rest.breach.contract, rest.breach.cause):
            return True
        return in_force(self._lock(rest.breach, rest.length), now.wall)

    def _lock(self, breach: Breach, length: Length) -> Lock:
        return lock_for(breach, length, self._calendar, flatten=self._flatten)

    def begun_by(
        self, booked: BookedFill, *, value: str, limit: str, text: str, inputs: dict[str, str]
    ) -> Breach:
        """The breach of a rest: named after the fill, at the fill's own time."""
        fill = booked.fill
        return Breach(
            id=UNNUMBERED,
            rule=self.name,
            contract=fill.contract,
            value=value,
            limit=limit,
            mark=None,
            cause=f"fill:{fill.id}",
            at=fill.at,
            text=text,
            inputs={"order": str(fill.order), **inputs},
        )
