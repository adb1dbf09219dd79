"""A seeded choice of everything: who moves next, how time passes, and what goes wrong, where and when.

The order of moves has dice of its own, so that a fault can be left out of a run without changing the rest of
what was planned. Every opportunity for a fault is numbered; those that fired are the run's faults.
"""

from __future__ import annotations

import random
from collections.abc import Collection
from typing import Any

from msgspec import Struct

from tests.chaos.broker import FINE, Hitch, HitchEvent
from tests.chaos.lives import How, Site
from tests.chaos.world import World

READS = ("Position/searchOpen", "Order/v2/query", "Order/searchOpen", "Trade/search", "Account/search")
CALLS = (
    "Position/closeContract",
    "Position/partialCloseContract",
    "Order/cancel",
    "Order/modify",
    "Order/place",
)


class Rates(Struct, frozen=True):
    """How likely each kind of fault is at each opportunity."""

    strike: float = 0.001
    request: float = 0.004
    event: float = 0.004
    cut: float = 0.0001
    pause: float = 0.02
    most: int = 6
    """Faults in one run."""


class Fault(Struct, frozen=True):
    """One that fired: the number of its opportunity, and what it was."""

    number: int
    what: str


class Disorder:
    """One run's choice. With `only`, just the faults of these numbers fire again."""

    def __init__(self, seed: int, rates: Rates, only: Collection[int] | None = None) -> None:
        self._moves = random.Random(f"{seed}/moves")
        self._dice = random.Random(f"{seed}/faults")
        self._rates, self._only = rates, only
        self._opportunities = 0
        self._strikes: dict[str, int] = {}
        self.fired: list[Fault] = []
        self.quiet = False
        """Nothing goes wrong any more; moves stay in disorder."""

    # ------------------------------------------------------------ Choice

    def pick(self, count: int) -> int:
        return self._moves.randrange(count)

    def strikes(self, site: Site) -> How | None:
        if not self._chance(self._rates.strike):
            return None
        ways: list[How] = ["crash", "death"]
        if site.point == "after_take":
            ways += ["hang", "poison"] if site.actor.startswith("account/") else ["hang"]
        how = self._dice.choice(ways)
        # More than a budget's worth of crashes of one actor is another story (a rule is given up).
        if self._strikes.get(site.actor, 0) >= 2:
            return None
        if not self._fires(f"{how} {site}"):
            return None
        self._strikes[site.actor] = self._strikes.get(site.actor, 0) + 1 + (how == "poison")
        return how

    def between(self, world: World) -> None:
        if self._moves.random() < self._rates.pause:
            world.dawdle(self._moves.choice((0.0005, 0.003, 0.03)))
        if self._chance(self._rates.cut) and not world.may_be_blind and self._fires("the link is cut"):
            world.broker.cut("the link was cut")

    # ------------------------------------------------------------ the wire

    def request(self, path: str) -> Hitch:
        rate = self._rates.request * (5 if path in CALLS else 1)
        if not self._chance(rate) or path not in (*CALLS, *READS):
            return FINE
        hitch = self._hitch()
        return hitch if self._fires(f"{path} {hitch.fate}") else FINE

    def _hitch(self) -> Hitch:
        fate: Any = self._dice.choice(
            ("lost", "unanswered", "late", "slow", "http_500", "executed_500", "http_401", "http_429")
        )
        return Hitch(fate, seconds=self._dice.choice((0.1, 0.5, 1.5)))

    def event(self, target: str) -> HitchEvent | None:
        if not self._chance(self._rates.event) or not target.startswith("GatewayUser"):
            return None
        fate: Any = self._dice.choice(("lost", "twice", "late"))
        hitch = HitchEvent(fate, self._dice.choice((0.005, 0.05, 0.4)))
        return hitch if self._fires(f"{target} {fate}") else None

    # ------------------------------------------------------------ inside

    def _chance(self, rate: float) -> bool:
        self._opportunities += 1
        return self._dice.random() < rate and not self.quiet

    def _fires(self, what: str) -> bool:
        if self._only is not None and self._opportunities not in self._only:
            return False
        if len(self.fired) >= self._rates.most:
            return False
        self.fired.append(Fault(self._opportunities, what))
        return True


def into(world: World, choice: Disorder) -> World:
    """Let the wire suffer by this choice, too."""
    world.broker.faults.request = choice.request
    world.broker.faults.event = choice.event
    return world
