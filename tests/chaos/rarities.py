"""Strikes that are known to meet a rare state, so that no sample goes without one.

What a strike would meet is looked up while the fault-free run is played: at each boundary, who runs there
and over what, what is in flight, what is not stored yet.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator
from functools import cache

from tests.chaos import sights
from tests.chaos.lives import How, Site
from tests.chaos.scenarios import BY_NAME, SCENARIOS
from tests.chaos.struck import Strike
from tests.chaos.world import Plain, World

HOWS: tuple[How, ...] = ("crash", "death")

type Found = dict[str, list[tuple[str, Strike]]]
"""By rare state: scenarios with a strike."""


class Foreseeing(Plain):
    """Disturbs nothing, and notes what a strike would meet."""

    def __init__(self) -> None:
        super().__init__()
        self.found = defaultdict[str, list[Strike]](list)
        self._dying = list[tuple[tuple[str, str], Strike]]()
        self._world: World | None = None

    def between(self, world: World) -> None:
        self._world = world

    def strikes(self, site: Site) -> How | None:
        super().strikes(site)
        world = self._world
        if world is not None and world.life is not None:
            for how in HOWS:
                for state in sights.meets(world, how):
                    self.found[state].append((site, how))
            dies_over = sights.dies_over(world, world.life)
            if dies_over is not None:
                self._dying.append((dies_over, (site, "crash")))
        if site.point == "after_take" and site.actor.startswith("account/"):
            self.found[sights.RECONCILED].append((site, "poison"))
        return None

    def over(self, world: World) -> None:
        """The run is at its end."""
        taken = {(site.part, site.actor, site.message) for site in self.sites if site.point == "send"}
        for site in self.sites:
            named = site.part, site.actor, site.message
            if site.point == "after_take" and site.actor.startswith("account/") and named in taken:
                self.found[sights.FENCED].append((site, "hang"))
                self.found[sights.WOKE].append((site, "hang"))
        for over, strike in self._dying:
            if sights.was_of_two(world, over):
                self.found[sights.ONE_DEAD].append(strike)
        for state in sights.OF_THE_STORY:
            if world.met[state]:
                self.found[state] += [(site, "crash") for site in self.sites if site.part == 1]


def surely(rng: random.Random, states: tuple[str, ...]) -> Iterator[tuple[str, tuple[Strike, ...]]]:
    """For each rare state a run that meets it."""
    found = candidates()
    for state in states:
        name, strike = rng.choice(found[state])
        yield name, (strike,)


@cache
def candidates() -> Found:
    found = defaultdict[str, list[tuple[str, Strike]]](list)
    for scenario in SCENARIOS:
        choice = Foreseeing()
        choice.over(BY_NAME[scenario.name].world(choice).play())
        for state, strikes in choice.found.items():
            found[state] += [(scenario.name, strike) for strike in strikes]
    return dict(found)
