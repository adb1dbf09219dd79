"""A log file that is put aside by size and age, packed, and forgotten after a while."""

from __future__ import annotations

import gzip
import os
import shutil
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TextIO

_STAMP = "%Y%m%dT%H%M%S%fZ"


class RotatingFile:
    """`NAME.log` and its predecessors `NAME-STAMP.log.gz`. Used by one thread at a time."""

    def __init__(self, path: Path, size: int, every: timedelta, keep: timedelta, compress: bool) -> None:
        self.path, self._size, self._every, self._keep, self._compress = path, size, every, keep, compress
        self._file: TextIO | None = None
        self._written = 0
        self._period = 0
        self._packing: list[threading.Thread] = []

    def write(self, lines: str, now: datetime) -> None:
        """Append whole lines, putting the file aside first when it is full or of another period. OSError."""
        file = self._file or self._open(now)
        if self._written and (self._written + len(lines) > self._size or self._period != self._number(now)):
            self.rotate(now)
            file = self._open(now)
        file.write(lines)
        file.flush()
        self._written += len(lines)

    def rotate(self, now: datetime) -> None:
        """Put the file aside now, pack it beside the writing, and delete what is too old."""
        self._shut()
        aside = self.path.with_name(f"{self.path.stem}-{now.astimezone(UTC):{_STAMP}}{self.path.suffix}")
        self.path.replace(aside)
        if self._compress:
            packing = threading.Thread(target=pack, args=(aside,), name="log-packing", daemon=True)
            packing.start()
            self._packing = [thread for thread in self._packing if thread.is_alive()] + [packing]
        self.prune(now)

    def prune(self, now: datetime) -> None:
        oldest = f"{self.path.stem}-{(now - self._keep).astimezone(UTC):{_STAMP}}"
        for old in self.path.parent.glob(f"{self.path.stem}-*{self.path.suffix}*"):
            if old.name < oldest:
                old.unlink(missing_ok=True)

    def close(self) -> None:
        self._shut()
        for packing in self._packing:
            packing.join()

    def _open(self, now: datetime) -> TextIO:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(self.path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
        found = os.fstat(handle)
        self._written = found.st_size
        last = datetime.fromtimestamp(found.st_mtime, UTC) if found.st_size else now
        self._period = self._number(last)
        self._file = os.fdopen(handle, "a", encoding="ascii", errors="backslashreplace")
        return self._file

    def _shut(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _number(self, at: datetime) -> int:
        return int(at.timestamp() // self._every.total_seconds())


def pack(path: Path) -> None:
    """Replace a file by its .gz; the plain one goes only when the packed one is complete."""
    part = path.with_name(path.name + ".gz.part")
    try:
        with path.open("rb") as plain, gzip.open(part, "wb", compresslevel=6) as packed:
            shutil.copyfileobj(plain, packed)
        part.chmod(0o600)
        part.replace(path.with_name(path.name + ".gz"))
        path.unlink()
    except OSError:
        part.unlink(missing_ok=True)  # the plain file stays and is deleted when it is too old
