"""Random schedules: who moves next is drawn, and so are crashes, hangs, deaths, lost answers, cut links.

Each run of a scenario under a schedule has to end as the one in order and without faults. What differs is
played again from its seed with fault after fault left out, and reported with those that it takes.
"""

from __future__ import annotations

import itertools
import random
import time
from collections import Counter
from collections.abc import Iterator

from tests.chaos import sights
from tests.chaos.disorder import Disorder, Fault, Rates, into
from tests.chaos.outcome import Asked, Difference, Swept
from tests.chaos.pool import work_off
from tests.chaos.scenarios import BY_NAME, SCENARIOS
from tests.chaos.struck import Run, compare

SCHEDULES = 10_000
MET = (
    sights.IN_FLIGHT,
    sights.RESET_BLIND,
    sights.BREACH_BLIND,
    sights.FENCED,
    sights.WOKE,
    sights.RECONCILED,
)
SHRUNK = 10

type Job = tuple[str, int]


def run(asked: Asked) -> Swept:
    wanted = None if asked.minutes is not None else SCHEDULES
    jobs = planned(asked.seed)
    began, done, steps, messages = time.monotonic(), 0, 0, 0
    met, faults = Counter[str](), 0
    differences: list[Difference] = []
    limited = jobs if wanted is None else itertools.islice(jobs, wanted)
    for (name, seed), (result, fired) in work_off(play, limited, asked.minutes):
        done += 1
        met.update(result.met)
        faults += len(fired)
        steps, messages = steps + result.steps, messages + result.messages
        if result.text:
            needed = least(name, seed, fired) if len(differences) < SHRUNK else fired
            case = (
                f"{name} | seed {seed} | {'; '.join(f'{f.number}: {f.what}' for f in needed) or 'no faults'}"
            )
            differences.append(Difference(case, result.text))
        if done % 500 == 0:
            asked.say(f"{done:,} schedules, {faults:,} faults, {len(differences)} differences")
    seconds = time.monotonic() - began
    facts: dict[str, object] = {
        "faults": faults,
        "steps per second": round(steps / seconds),
        "messages per second": round(messages / seconds),
    }
    return Swept(
        done, "schedules", asked.seed, tuple(differences), (), facts, {name: met[name] for name in MET}
    )


def planned(seed: int) -> Iterator[Job]:
    rng = random.Random(seed)
    for scenario in itertools.cycle(SCENARIOS):
        yield scenario.name, rng.randrange(2**31)


def play(job: Job) -> tuple[Run, tuple[Fault, ...]]:
    return scheduled(*job)


def scheduled(name: str, seed: int, only: frozenset[int] | None = None) -> tuple[Run, tuple[Fault, ...]]:
    """One scenario under one schedule; with `only`, just these of its faults."""
    scenario, choice = BY_NAME[name], Disorder(seed, Rates(), only)
    run = compare(
        scenario,
        lambda: into(scenario.world(choice, seed=seed), choice).play(),
        lambda: len(choice.fired),
    )
    return run, tuple(choice.fired)


def least(name: str, seed: int, fired: tuple[Fault, ...]) -> tuple[Fault, ...]:
    """Leave faults out one by one as long as the run still differs."""
    kept = list(fired)
    for fault in fired:
        fewer = [each for each in kept if each is not fault]
        if scheduled(name, seed, frozenset(each.number for each in fewer))[0].text:
            kept = fewer
    return tuple(kept)
