"""Named points at which a crash must change nothing: where state becomes durable, or a request goes out.

    crash_point("journal.written")

Each costs one comparison. The crash-point sweep reads the names out of the source, kills the daemon at each
in turn and compares what is left with a run in which nothing happened; a new point is covered by being there.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

VARIABLE = "RISKD_CRASH_POINT"
"""`NAME#COUNT@START`, several separated by commas: die when the point is passed for the count-th time in that
start of the daemon (the first is 0). Or `>FILE`: nobody dies, every point passed is written to the file."""

_hook: Callable[[str], None] | None = None


def crash_point(name: str) -> None:
    """The process may end here."""
    if _hook is not None:
        _hook(name)


def arm(environ: Mapping[str, str], start: int) -> None:
    """Do what the environment asks for. Only where chaos is enabled and the gateway is this machine."""
    global _hook
    wanted = environ.get(VARIABLE, "")
    if wanted.startswith(">"):
        _hook = _noted(Path(wanted[1:]), start)
        return
    for one in filter(None, wanted.split(",")):
        point, _, when = one.partition("#")
        count, _, in_start = when.partition("@")
        if in_start == str(start):
            _hook = _killed(point, int(count))


def _noted(file: Path, start: int) -> Callable[[str], None]:
    def note(name: str) -> None:
        with file.open("a") as out:
            out.write(f"{name}@{start}\n")

    return note


def _killed(point: str, count: int) -> Callable[[str], None]:
    seen = Counter[str]()

    def kill(name: str) -> None:
        seen[name] += 1
        if name == point and seen[name] == count:
            os.kill(os.getpid(), signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)

    return kill
