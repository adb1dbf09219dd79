"""Runs struck at given sites, the comparison with the run that is not, and the least that differs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

from msgspec import Struct

from tests.chaos.ending import End
from tests.chaos.lives import How, Site, site_of
from tests.chaos.scenarios import BY_NAME, Scenario
from tests.chaos.world import Plain, Stuck, World

type Strike = tuple[Site, How]


class Struck(Plain):
    """Whoever became ready first moves first, and at some sites something happens."""

    def __init__(self, strikes: Sequence[Strike]) -> None:
        super().__init__()
        self._planned = dict(strikes)
        self.hits = 0

    def strikes(self, site: Site) -> How | None:
        how = self._planned.pop(site, None) if self._planned else None
        self.hits += how is not None
        return how


class Run(Struct, frozen=True):
    """What one run with faults came to."""

    hits: int
    met: dict[str, int]
    text: str
    """What differed; empty when nothing did."""
    steps: int = 0
    messages: int = 0


class Fair(Struct, frozen=True):
    """The run without faults."""

    end: End
    sites: tuple[Site, ...]


@cache
def fair(name: str) -> Fair:
    """The fault-free run of a scenario; itself free of broken invariants."""
    choice = Plain()
    world = BY_NAME[name].world(choice).play()
    if world.failures or world.end is None:
        raise AssertionError(f"{name} without faults: {'; '.join(world.failures)}")
    return Fair(world.end, tuple(choice.sites))


def compare(scenario: Scenario, play: Callable[[], World], hits: Callable[[], int]) -> Run:
    """Play a run to its end and hold it against the fair one."""
    try:
        world = play()
    except Exception as error:  # noqa: BLE001 - whatever a run dies of is what the sweep is looking for
        return Run(hits(), {}, f"the run failed: {_innermost(error)}")
    wrong = list(world.failures)
    if world.end is None:
        wrong.append("there was no end to compare")
    else:
        difference = fair(scenario.name).end.differs(world.end)
        wrong += [difference] if difference else []
    return Run(hits(), dict(world.met), "; ".join(wrong), world.steps, world.messages)


def _innermost(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"


def play_struck(name: str, strikes: Sequence[Strike]) -> Run:
    scenario, choice = BY_NAME[name], Struck(strikes)
    return compare(scenario, lambda: scenario.world(choice).play(), lambda: choice.hits)


def least(name: str, strikes: Sequence[Strike]) -> tuple[Strike, ...]:
    """Leave strikes out one by one as long as the run still differs."""
    kept = list(strikes)
    for strike in strikes:
        fewer = [each for each in kept if each != strike]
        if fewer and play_struck(name, fewer).text:
            kept = fewer
    return tuple(kept)


def case_of(name: str, strikes: Sequence[Strike]) -> str:
    return " | ".join([name, *(f"{how} {site}" for site, how in strikes)])


def replay(case: str) -> Run:
    """Play again what a report names."""
    name, *strikes = case.split(" | ")
    parsed = [strike.split(" ", 1) for strike in strikes]
    return play_struck(name, [(site_of(site), how) for how, site in parsed])  # type: ignore[misc]


__all__ = ["Fair", "Run", "Strike", "Struck", "Stuck", "case_of", "compare", "fair", "least", "play_struck"]
