"""`sweep crash-points`: kill the daemon at every named point, start it again, and find the same as without.

The points are read out of the source, so a new one takes part by being there. One run without a kill says
how often each is passed; then each is the place of death in turn: the first time it is passed, the last, and
some between. Plays that open a store of an earlier version, a damaged one, or one that was moved away reach
the points that an ordinary day does not.
"""

from __future__ import annotations

import ast
import atexit
import functools
import itertools
import os
import random
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from msgspec import Struct

from tests.chaos.cradle import ROOT, Cradle
from tests.chaos.journal_cuts import cut_everywhere
from tests.chaos.mortal import mortal
from tests.chaos.outcome import Asked, Difference, Swept
from tests.chaos.plays import PLAYS, Outcome, left_behind

AT_ONCE = 2
SOME = 3
"""Times at most that one point is the place of death; of calls and of what is written before them, each."""
CUTS = 24
"""Lengths that the journal is cut to."""
EVERY = ("call.", "enforcement.calls", "journal.written")


class Case(Struct, frozen=True):
    """One run: which play, and where it is killed; in two places where the second start dies, too."""

    play: str
    crash: str

    @property
    def point(self) -> str:
        return self.crash.partition("#")[0]


class Played(Struct, frozen=True):
    """How a run ended. `failure`: it never came so far."""

    starts: int
    outcome: Outcome | None
    failure: str = ""
    passed: tuple[str, ...] = ()
    """Points passed in the first start, in order; only of a run without a kill."""


def cradle() -> Cradle:
    """One for this process; it ends with it, because nobody can ask it any more then."""
    return _cradle_of(os.getpid())


@functools.cache
def _cradle_of(process: int) -> Cradle:
    # By process: a forked worker must not talk into the pipes of the one that it came from.
    del process
    made = Cradle()
    atexit.register(made.close)
    return made


def points() -> tuple[str, ...]:
    """Every point named in the source."""
    found = set[str]()
    for folder in ("actors", "supervisor", "config", "ops"):
        for path in (ROOT / folder).rglob("*.py"):
            found |= set(named_in(ast.parse(path.read_text("utf-8"))))
    return tuple(sorted(found))


def named_in(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "crash_point":
            (name,) = node.args
            assert isinstance(name, ast.Constant), "a crash point has its name written out"
            yield str(name.value)


def play(case: Case) -> Played:
    """One run from an empty home to the end of its play."""
    with mortal(cradle()) as guard:
        noted = guard.home.folder / "passed"
        guard.crash = case.crash or f">{noted}"
        try:
            PLAYS[case.play](guard)
            outcome = left_behind(guard)
        except AssertionError as error:
            return Played(guard.starts, None, str(error))
        return Played(guard.starts, outcome, passed=_passed(noted))


def _passed(noted: Path) -> tuple[str, ...]:
    if not noted.exists():
        return ()
    lines = [line.rpartition("@") for line in noted.read_text().splitlines()]
    return tuple(point for point, _, start in lines if start == "0")


def cases(fault_free: dict[str, Played], seed: int) -> list[Case]:
    """Each point in the first play that passes it; some of them killed once more while they recover."""
    chance = random.Random(seed)
    by_point: list[list[Case]] = []
    taken = set[str]()
    for name, played in fault_free.items():
        times = Counter(played.passed)
        for point in sorted(times.keys() - taken):
            taken.add(point)
            some = _some(point, times[point], chance)
            by_point.append([Case(name, f"{point}#{count}@0") for count in some])
    # Each point once before any a second time, should the time run out.
    chosen = [case for turn in itertools.zip_longest(*by_point) for case in turn if case is not None]
    twice = [case for case in chosen if chance.random() < 0.15]
    again = ("store.committed#1@1", "journal.written#1@1", "request.answered#2@1", "store.committing#2@1")
    return [*chosen, *(Case(c.play, f"{c.crash},{chance.choice(again)}") for c in twice)]


def _some(point: str, times: int, chance: random.Random) -> list[int]:
    if times <= SOME or point.startswith(EVERY):
        return list(range(1, times + 1))
    return sorted({1, times, *chance.sample(range(2, times), SOME - 2)})


def differences(case: Case, played: Played, expected: Outcome) -> Iterator[Difference]:
    name = f"{case.play} killed at {case.crash}"
    if played.outcome is None:
        yield Difference(name, played.failure)
        return
    for what, wanted in expected.items():
        found = played.outcome[what]
        if found != wanted:
            yield Difference(name, f"{what}: {found}, without a kill {wanted}")


def run(asked: Asked) -> Swept:
    began = time.monotonic()
    fault_free = {name: play(Case(name, "")) for name in PLAYS}
    broken = [f"{name}: {one.failure}" for name, one in fault_free.items() if one.outcome is None]
    if broken:
        return Swept(0, "runs", asked.seed, tuple(Difference("without a kill", text) for text in broken))
    asked.say(f"{len(PLAYS)} plays without a kill: {time.monotonic() - began:.0f} s")
    wanted = cases(fault_free, asked.seed)
    found = list[Difference]()
    done = Counter[str]()
    wrong = Counter[str]()
    for case, played in _played(wanted, asked, began):
        expected = fault_free[case.play].outcome
        assert expected is not None
        differs = list(differences(case, played, expected))
        found += differs
        # A point that a run happens not to pass so often is no proof, and no difference.
        done[case.point] += played.starts > 1
        wrong[case.point] += bool(differs)
    for name, differs in cut_everywhere(cradle(), asked.seed, CUTS):
        asked.say(name)
        found += differs
        done["journal cut"] += 1
        wrong["journal cut"] += bool(differs)
    listed = (*points(), "journal cut")
    rows = tuple({"point": p, "killed there": done[p], "differs": wrong[p]} for p in listed)
    reached = {p: done[p] for p in listed}
    return Swept(sum(done.values()), "kills", asked.seed, tuple(found), rows, {}, reached)


def _played(wanted: Iterable[Case], asked: Asked, began: float) -> Iterator[tuple[Case, Played]]:
    """Two at a time; nothing new is begun once the time is over."""
    left = iter(wanted)
    with ProcessPoolExecutor(AT_ONCE) as pool:
        running = {pool.submit(play, case): case for case in itertools.islice(left, AT_ONCE)}
        while running:
            done = next(as_completed(running))
            case = running.pop(done)
            asked.say(f"{case.play} {case.crash}: {'died' if done.result().outcome is None else 'lived'}")
            yield case, done.result()
            if asked.minutes is None or time.monotonic() - began < asked.minutes * 60:
                running |= {pool.submit(play, case): case for case in itertools.islice(left, 1)}
