"""Episodes: from a breach becoming true to its becoming false, each recorded once.

A breach keeps its first figures for as long as its episode lasts, so every verdict of one episode
names the same breach. The number `N` at the end of its id counts the episodes that began that day
with the same contract and cause.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from fractions import Fraction

import msgspec
from msgspec import Struct

from actors.messages import Breach, BreachId, Notice

UNNUMBERED = BreachId("")
"""Id of a breach that was seen but not yet given its place in the day."""

NEAR_ENDS_AT = Fraction(3, 4)
"""A near alert may come again once less than this part of its share is used: without the gap, a
price that trembles on the share would alert with every quote."""


class Episodes(Struct, frozen=True, gc=False):
    """What is in breach, and how often that began today. Keys are the rule's own: `*`, a contract, a root."""

    day: date | None = None
    open: dict[str, Breach] = {}
    counts: dict[str, int] = {}
    """Episodes begun on `day`, per `CONTRACT-or-*/CAUSE`."""
    near: tuple[str, ...] = ()
    """Keys whose alert share is reached."""

    def began(self, contract: str | None, cause: str) -> bool:
        """Whether such an episode was recorded today."""
        return _slot(contract, cause) in self.counts

    def new_since(self, before: Episodes) -> tuple[Breach, ...]:
        """Breaches that began between `before` and now."""
        known = {breach.id for breach in before.open.values()}
        return tuple(breach for breach in self.open.values() if breach.id not in known)


def _slot(contract: str | None, cause: str) -> str:
    return f"{contract or '*'}/{cause}"


def on_day(episodes: Episodes, day: date) -> Episodes:
    """Counts and near alerts start afresh with the trading day; what is in breach stays so."""
    if episodes.day == day:
        return episodes
    return Episodes(day, episodes.open)


def follow(before: Episodes, rule: str, day: date, true_now: Mapping[str, Breach]) -> Episodes:
    """Open, keep and end episodes, given every breach that is true now."""
    episodes = on_day(before, day)
    if not episodes.open and not true_now:
        return episodes
    counts, still_open = dict(episodes.counts), dict[str, Breach]()
    for key, seen in true_now.items():
        breach = episodes.open.get(key)
        if breach is None:
            slot = _slot(seen.contract, seen.cause)
            counts[slot] = counts.get(slot, 0) + 1
            breach = msgspec.structs.replace(seen, id=BreachId(f"{day}/{rule}/{slot}/{counts[slot]}"))
        still_open[key] = breach
    return msgspec.structs.replace(episodes, open=still_open, counts=counts)


def covered(episodes: Episodes, contract: str | None, cause: str) -> Episodes:
    """Count a cause as recorded that fell into an episode already open."""
    if episodes.began(contract, cause):
        return episodes
    return msgspec.structs.replace(episodes, counts={**episodes.counts, _slot(contract, cause): 1})


def near_alerts(
    before: Episodes, rule: str, day: date, used: Mapping[str, tuple[Fraction, str]], share: Fraction | None
) -> tuple[Episodes, tuple[Notice, ...]]:
    """One alert per episode of reaching `share` of a limit; `used` gives the part used and the text."""
    episodes = on_day(before, day)
    if share is None:
        return episodes, ()
    near = tuple(
        key
        for key, (part, _) in used.items()
        if part >= share or (key in episodes.near and part >= share * NEAR_ENDS_AT)
    )
    if near == episodes.near:
        return episodes, ()
    counts, notices = dict(episodes.counts), list[Notice]()
    for key in near:
        if key not in episodes.near:
            slot = f"{key}/near"
            counts[slot] = counts.get(slot, 0) + 1
            notices.append(Notice("warning", rule, used[key][1], f"{day}/{rule}/{slot}/{counts[slot]}"))
    return msgspec.structs.replace(episodes, near=near, counts=counts), tuple(notices)
