"""Kills at every boundary of a message: before it is taken, after, at each send, before and after the ack.

Each actor of each scenario crashes there, hangs there until it is given up, or the whole process dies there.
Whatever happens, the run has to end as the one without.
"""

from __future__ import annotations

import itertools
import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from tests.chaos import sights
from tests.chaos.lives import How, Site
from tests.chaos.outcome import Asked, Difference, Swept
from tests.chaos.pool import work_off
from tests.chaos.rarities import surely
from tests.chaos.scenarios import SCENARIOS
from tests.chaos.struck import Strike, case_of, fair, least, play_struck

KILLS = 24_000
TOGETHER = 3
"""Strikes per run, each in another part of the script: the guard comes to rest in between."""
MET = (
    sights.IN_FLIGHT,
    sights.BETWEEN,
    sights.UNSTORED,
    sights.RESET_BLIND,
    sights.BREACH_BLIND,
    sights.ONE_DEAD,
    sights.FENCED,
    sights.WOKE,
    sights.RECONCILED,
    sights.GIVEN_UP,
)

type Job = tuple[str, tuple[Strike, ...]]


def run(asked: Asked) -> Swept:
    jobs = planned(asked.seed)
    wanted = None if asked.minutes is not None else KILLS
    kills, met = 0, Counter[str]()
    differences: list[Difference] = []
    points = Counter[str]()
    for (name, strikes), result in work_off(play, jobs, asked.minutes):
        kills += result.hits
        met.update(result.met)
        points.update(f"{how} {site.point}" for site, how in strikes)
        if result.text:
            fewer = least(name, strikes) if len(differences) < 10 else strikes
            differences.append(Difference(case_of(name, fewer), result.text))
        if kills // 2000 != (kills - result.hits) // 2000:
            asked.say(f"{kills:,} kills, {len(differences)} differences")
        if wanted is not None and kills >= wanted:
            break
    rows = tuple({"kill": point, "planned": count} for point, count in sorted(points.items()))
    facts: dict[str, object] = {
        "scenarios": len(SCENARIOS),
        "sites": sum(len(fair(s.name).sites) for s in SCENARIOS),
    }
    reached = {name: met[name] for name in MET}
    return Swept(kills, "kills", asked.seed, tuple(differences), rows, facts, reached)


def play(job: Job) -> Any:
    return play_struck(*job)


def planned(seed: int) -> Iterator[Job]:
    """Runs with their strikes: first one for every rare state, then one of every kind of strike,
    then all others in random order."""
    rng = random.Random(seed)
    yield from surely(rng, MET)
    by_scenario = [(s.name, _ordered(s.name, random.Random(rng.random()))) for s in SCENARIOS]
    chunks = [_together(name, strikes) for name, strikes in by_scenario]
    for row in itertools.zip_longest(*chunks):
        yield from (job for job in row if job is not None)


def _ordered(name: str, rng: random.Random) -> list[Strike]:
    strikes = list(_strikes(fair(name).sites))
    rng.shuffle(strikes)
    kinds = Counter[tuple[str, str, How]]()
    turn: list[tuple[int, Strike]] = []
    for site, how in strikes:
        kind = (site.actor, site.point, how)
        turn.append((kinds[kind], (site, how)))
        kinds[kind] += 1
    turn.sort(key=lambda each: each[0])
    return [strike for _, strike in turn]


def _strikes(sites: Sequence[Site]) -> Iterator[Strike]:
    for site in sites:
        yield site, "crash"
        yield site, "death"
        if site.point == "after_take":
            yield site, "hang"
            # Of the others nobody but the store knows what is missing: a row that cannot be stored is lost.
            if site.actor.startswith("account/"):
                yield site, "poison"


def _together(name: str, strikes: Sequence[Strike]) -> Iterator[Job]:
    """Some strikes of different parts in one run each."""
    parts: dict[int, list[Strike]] = defaultdict(list)
    for strike in reversed(strikes):
        parts[strike[0].part].append(strike)
    while parts:
        fullest = sorted(parts, key=lambda part: -len(parts[part]))[:TOGETHER]
        yield name, tuple(parts[part].pop() for part in sorted(fullest))
        parts = defaultdict(list, {part: left for part, left in parts.items() if left})
