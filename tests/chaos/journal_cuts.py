"""The journal cut at every record of a day, and in the middle of every record: the same account either way.

A daemon is killed at the end of a day; then it starts once for each length that its journal might have had.
The store and the gateway know the rest.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from actors.enforcement.journal import HEAD
from tests.chaos.cradle import Cradle
from tests.chaos.mortal import Mortal, mortal
from tests.chaos.outcome import Difference
from tests.chaos.plays import a_day, guarding, holds

ACCOUNT = 1001


def records(journal: bytes) -> list[int]:
    """Where each record ends."""
    ends, at = [0], 0
    while at + HEAD.size <= len(journal):
        at += HEAD.size + HEAD.unpack_from(journal, at)[0]
        ends.append(at)
    return ends


def cuts(journal: bytes, seed: int, most: int | None) -> list[int]:
    """Every end of a record and one place inside each; some of them where only some are wanted."""
    chance = random.Random(seed)
    ends = records(journal)
    inside = [chance.randrange(start + 1, end) for start, end in pairwise(ends)]
    every = sorted([*ends, *inside])
    return every if most is None or most >= len(every) else sorted(chance.sample(every, most))


def cut_everywhere(cradle: Cradle, seed: int, most: int | None) -> Iterator[tuple[str, list[Difference]]]:
    """One start per cut; what differs from the start with the whole journal."""
    with mortal(cradle) as guard:
        a_day(guard)
        guard.end()
        home, kept = guard.home.folder, guard.home.folder.with_name(f"{guard.home.folder.name}.kept")
        shutil.copytree(home, kept, ignore=shutil.ignore_patterns("run"))
        try:
            (path,) = kept.glob(f"journal/{ACCOUNT}.*.journal")
            whole = path.read_bytes()
            expected = _started_with(guard, kept, path.name, whole)
            for cut in cuts(whole, seed, most):
                found = _started_with(guard, kept, path.name, whole[:cut])
                name = f"journal cut at {cut} of {len(whole)} bytes"
                yield (
                    name,
                    [
                        Difference(name, f"{what}: {found[what]}, with all of it {wanted}")
                        for what, wanted in expected.items()
                        if found[what] != wanted
                    ],
                )
        finally:
            shutil.rmtree(kept)


def _started_with(guard: Mortal, kept: Path, journal: str, content: bytes) -> dict[str, Any]:
    shutil.rmtree(guard.home.folder)
    shutil.copytree(kept, guard.home.folder)
    guard.home.make()
    (guard.home.journal / journal).write_bytes(content)
    guard.starts = 1
    guarding(guard)
    holds(guard, {})
    accounts = {one["name"]: one for one in guard.until(lambda: guard.status().get("accounts"), "status")}
    guard.end()
    return {
        "lockouts": {name: one["lockouts"] for name, one in accounts.items()},
        "figures": {name: (one["realized"], one["trades"]) for name, one in accounts.items()},
        "positions": {name: one["positions"] for name, one in accounts.items()},
        "calls": len(guard.control(op="calls")["calls"]),
    }
