"""Faults of the gateway: enforcements that must end well, and links that must come back.

In virtual time on the fake port: enforcements while requests, answers and events suffer, and sequences of a
thousand link faults. Over real sockets: enforcements by the whole guard against the simulator's own faults.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator

from tests.chaos.enforcing import EACH, enforced
from tests.chaos.link_faults import suffered
from tests.chaos.outcome import Asked, Difference, Swept
from tests.chaos.over_sockets import played
from tests.chaos.pool import work_off

ENFORCEMENTS = 10_000
LINK_FAULTS = 1_000
SEQUENCES = 4
OVER_SOCKETS = 200
AT_ONE_DESK = 25


def run(asked: Asked) -> Swept:
    share = None if asked.minutes is None else asked.minutes / 3
    rng = random.Random(asked.seed)
    parts = [_sockets(asked, rng, share), _links(asked, rng, share), _enforcements(asked, rng, share)]
    faults = Counter[str]()
    for part in parts:
        faults.update(part.reached)
    return Swept(
        sum(part.cases for part in parts),
        "enforcements and link faults",
        asked.seed,
        tuple(difference for part in parts for difference in part.differences),
        tuple(row for part in parts for row in part.rows),
        {name: fact for part in parts for name, fact in part.facts.items()},
        dict(sorted(faults.items())),
    )


def _seeds(rng: random.Random, count: int) -> Iterator[int]:
    return iter([rng.randrange(2**31) for _ in range(count)])


def _enforcements(asked: Asked, rng: random.Random, minutes: float | None) -> Swept:
    done, fates = 0, Counter[str]()
    wrong: list[Difference] = []
    for seed, result in work_off(enforced, _seeds(rng, ENFORCEMENTS // EACH), minutes):
        done += result.done
        fates.update(result.fates)
        wrong += [Difference(f"enforcements of seed {seed}", text) for text in result.wrong]
        if done % 1_000 < EACH:
            asked.say(f"{done:,} enforcements in virtual time, {len(wrong)} differences")
    row = {"part": "enforcements, virtual time", "count": done, "differences": len(wrong)}
    return Swept(done, "enforcements", asked.seed, tuple(wrong), (row,), {}, dict(fates))


def _links(asked: Asked, rng: random.Random, minutes: float | None) -> Swept:
    done, ways = 0, Counter[str]()
    wrong: list[Difference] = []
    live_s: list[float] = []
    jobs = ((seed, LINK_FAULTS) for seed in _seeds(rng, SEQUENCES))
    for (seed, _), result in work_off(suffered, jobs, minutes):
        count = sum(result.faults.values())
        done += count
        ways.update({f"link: {name}": times for name, times in result.faults.items()})
        live_s += result.live_s
        wrong += [Difference(f"link faults of seed {seed}", text) for text in result.wrong]
        asked.say(f"{done:,} link faults, {len(wrong)} differences; early {result.early}, late {result.late}")
    live_s.sort()
    row = {"part": f"link faults, {LINK_FAULTS:,} in a row", "count": done, "differences": len(wrong)}
    facts: dict[str, object] = {}
    if live_s:
        facts["reachable to live, virtual seconds"] = (
            f"p50 {live_s[len(live_s) // 2]:.2f}, p99 {live_s[len(live_s) * 99 // 100]:.2f}, "
            f"most {live_s[-1]:.2f}"
        )
    return Swept(done, "link faults", asked.seed, tuple(wrong), (row,), facts, dict(ways))


def _sockets(asked: Asked, rng: random.Random, minutes: float | None) -> Swept:
    done, fates = 0, Counter[str]()
    wrong: list[Difference] = []
    jobs = ((seed, AT_ONE_DESK) for seed in _seeds(rng, OVER_SOCKETS // AT_ONE_DESK))
    for (seed, _), result in work_off(played, jobs, minutes):
        done += result.done
        fates.update({f"over sockets: {name}": times for name, times in result.fates.items()})
        wrong += [Difference(f"desk of seed {seed}", text) for text in result.wrong]
        asked.say(f"{done:,} enforcements over sockets, {len(wrong)} differences")
    row = {"part": "enforcements, real sockets", "count": done, "differences": len(wrong)}
    return Swept(done, "enforcements", asked.seed, tuple(wrong), (row,), {}, dict(fates))
