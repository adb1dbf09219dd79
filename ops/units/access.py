"""Who could change or read a file, by owners and modes: of the file, and of every folder above it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct


class Account(Struct, frozen=True):
    """A user of the system by numbers; root is none of those asked about."""

    uid: int
    gids: frozenset[int] = frozenset()


def weak_spot(path: Path, who: Account, top: Path) -> Path | None:
    """The first of the path and the folders above it (up to `top`) that `who` could change; None where
    nobody but others could. A link counts as the way to it and the way it leads."""
    real = path.resolve()
    for place in _ways(path, top):
        seen = place.stat()
        if seen.st_uid == who.uid or (_has(seen, who, stat.S_IWOTH) and not _kept(seen, place, real)):
            return place
    return None


def _ways(path: Path, top: Path) -> Iterator[Path]:
    """Where the path leads and every folder on both ways to it, the nearest first; not `top` and above."""
    above = {top, *top.parents}
    for place in (path.resolve(), *path.resolve().parents, *path.absolute().parents):
        if place not in above:
            yield place


def _kept(seen: os.stat_result, place: Path, real: Path) -> bool:
    """In a sticky folder (`/tmp`) nobody can move away what belongs to others."""
    return place != real and bool(seen.st_mode & stat.S_ISVTX)


def weak_spots(folder: Path, who: Account, top: Path) -> Iterator[Path]:
    """Everything in a folder that `who` could change, the way to it included."""
    spot = weak_spot(folder, who, top)
    if spot is not None:
        yield spot
        return
    for here, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(here, name)
            seen = path.lstat()
            if not stat.S_ISLNK(seen.st_mode) and _changeable(seen, who):
                yield path


def blocked_at(path: Path, who: Account, top: Path) -> Path | None:
    """A folder on the way that `who` may not pass, or the file itself if it may not be read."""
    real = path.resolve()
    for place in _ways(path, top):
        if place != real and not may(place, who, stat.S_IXOTH):
            return place
    return None if may(real, who, stat.S_IROTH) else real


def may(path: Path, who: Account, bit: int) -> bool:
    """Whether the mode gives `who` this right (one of the rights of others: S_IROTH, S_IWOTH, S_IXOTH)."""
    return _has(path.stat(), who, bit)


def _changeable(seen: os.stat_result, who: Account) -> bool:
    return seen.st_uid == who.uid or _has(seen, who, stat.S_IWOTH)


def _has(seen: os.stat_result, who: Account, bit: int) -> bool:
    if seen.st_uid == who.uid:
        return bool(seen.st_mode & bit << 6)
    if seen.st_gid in who.gids:
        return bool(seen.st_mode & bit << 3)
    return bool(seen.st_mode & bit)
