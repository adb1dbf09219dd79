"""Which process is meant: a pid alone is recycled, a pid with its start time is not."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec
from msgspec import Struct


class Identity(Struct, frozen=True):
    """A pid with the start time that tells it from every other bearer of that pid."""

    pid: int
    start_ticks: int


def identity_of(pid: int) -> Identity | None:
    """Who has this pid now; None when nobody (or only a corpse) has."""
    if sys.platform == "linux":
        try:
            stat = Path(f"/proc/{pid}/stat").read_text("ascii", "replace")
        except OSError:
            return None
        # The name in brackets may itself hold spaces and brackets.
        fields = stat[stat.rindex(")") + 2 :].split()
        return None if fields[0] in "ZX" else Identity(pid, int(fields[19]))
    import psutil  # only where /proc does not tell: the command line starts without it

    try:
        return Identity(pid, round(psutil.Process(pid).create_time() * 100))
    except psutil.Error:
        return None


def recorded(path: Path) -> Identity | None:
    """The process that a JSON file of the run folder names, if it is the one that runs under that pid."""
    try:
        named = msgspec.json.decode(path.read_bytes(), type=Identity)
    except (OSError, msgspec.DecodeError):
        return None
    return named if identity_of(named.pid) == named else None
