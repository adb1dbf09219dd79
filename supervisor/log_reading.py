"""Reads the daemon's log files for `riskd logs`: a page from the end, or what came after a place."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import msgspec
from msgspec import Struct

LEVELS = ("debug", "info", "warning", "error", "critical")
MOST_BYTES = 512 * 1024
"""Read at most this much of a file for one answer."""


class LogPage(Struct, frozen=True):
    """Lines, oldest first, and the place in the file behind the last of them."""

    lines: tuple[dict[str, object], ...]
    next: int


def read_log(
    path: Path, *, after: int | None, since: datetime | None, level: str | None, limit: int
) -> LogPage:
    """The newest `limit` lines, or with `after` the ones behind that place, first come first.

    A file that is shorter than `after` was put aside meanwhile and is read from its start. A last line
    that is still being written is left for the next time.
    """
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        return LogPage((), 0)
    if after is not None and after > size:
        after = 0
    start = max(0, size - MOST_BYTES) if after is None else after
    with path.open("rb") as file:
        file.seek(start)
        data = file.read(MOST_BYTES)
    if after is None and start:
        _, _, data = data.partition(b"\n")
        start = size - len(data)
    whole = data[: data.rfind(b"\n") + 1]
    return _page(whole, start, newest=after is None, since=since, level=level, limit=limit)


def _page(
    data: bytes, start: int, *, newest: bool, since: datetime | None, level: str | None, limit: int
) -> LogPage:
    kept: list[tuple[int, dict[str, object]]] = []
    place = start
    for raw in data.splitlines(keepends=True):
        place += len(raw)
        line = _line(raw)
        if _wanted(line, since, level):
            kept.append((place, line))
    if newest:
        return LogPage(tuple(line for _, line in kept[-limit:]), place)
    return LogPage(
        tuple(line for _, line in kept[:limit]), kept[limit - 1][0] if len(kept) > limit else place
    )


def _line(raw: bytes) -> dict[str, object]:
    """A record, or (with `logging.json: false`) its text as the event."""
    try:
        return msgspec.json.decode(raw, type=dict[str, object])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {"at": None, "level": "info", "event": raw.decode("utf-8", "replace").rstrip("\n")}


def _wanted(line: dict[str, object], since: datetime | None, level: str | None) -> bool:
    if level is not None and _rank(line.get("level")) < _rank(level):
        return False
    at = line.get("at")
    if since is None or not isinstance(at, str):
        return True
    try:
        return datetime.fromisoformat(at) >= since
    except ValueError:
        return True


def _rank(level: object) -> int:
    return LEVELS.index(level) if isinstance(level, str) and level in LEVELS else 1
