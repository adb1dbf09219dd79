"""Runs spread over the cores, results as they come, until there are no more or the time is up."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import time
from collections.abc import Callable, Iterable, Iterator

AHEAD = 4
"""Jobs given out per process: enough that none waits."""


def cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def work_off[J, R](play: Callable[[J], R], jobs: Iterable[J], minutes: float | None) -> Iterator[tuple[J, R]]:
    """Each job with its result; `play` and the jobs must be picklable."""
    deadline = None if minutes is None else time.monotonic() + minutes * 60
    workers = cores()
    left = iter(jobs)
    with multiprocessing.get_context("fork").Pool(workers) as pool:
        waiting = [(job, pool.apply_async(play, (job,))) for job in itertools.islice(left, workers * AHEAD)]
        while waiting:
            job, result = waiting.pop(0)
            yield job, result.get()
            if deadline is None or time.monotonic() < deadline:
                waiting += [(next_, pool.apply_async(play, (next_,))) for next_ in itertools.islice(left, 1)]
