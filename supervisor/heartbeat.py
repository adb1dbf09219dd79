"""The page on which the daemon shows that it thinks: written after each scan, read by the watchdog.

One record in a file of one page, mapped by the writer and read by plain reads. A record carries its
own checksum, so a reader that meets a half-written one reads again. The file is never truncated: a
reader could be in it.
"""

from __future__ import annotations

import mmap
import os
import struct
import zlib
from enum import IntEnum
from pathlib import Path

import msgspec
from msgspec import Struct

PAGE_BYTES = 4096
_HEAD = struct.Struct(">4sHI")
_MAGIC = b"rkb1"
_MOST = PAGE_BYTES - _HEAD.size
_REREADS = 20
"""A record is written within microseconds; meeting it half-written twenty times is a dead writer."""


class Phase(IntEnum):
    """Where the daemon is in its life, as it says itself."""

    STARTING = 0
    READY = 1
    """Everything it could start is started; it may still be blind."""
    STOPPING = 2
    """It was told to end: the watchdog must not replace it."""
    RESTARTING = 3
    """It ends so that a fresh one can take over, and is replaced however it ends."""
    FAILING = 4
    """It ends because it cannot go on, or somebody sent it a signal: replaced, and counted as a failure."""


class Beat(Struct, frozen=True, gc=False, array_like=True):
    """What the daemon said at its last scan."""

    counter: int
    """One more with every scan."""
    pid: int
    start_ticks: int
    mono: float
    """Monotonic second of the scan."""
    oldest_ms: float = 0.0
    """Age of the oldest message that no actor has taken yet."""
    rules_covered: int = 0
    """Armed and shadow rules whose actor runs now."""
    rules_configured: int = 0
    phase: Phase = Phase.STARTING
    slowest: str = ""
    """Id of the actor that is longest in its handler, empty when none is."""
    slowest_ms: float = 0.0


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Beat)


class HeartbeatPage:
    """The writer's side: one per daemon. Opening it makes the file; closing leaves the last beat in it."""

    def __init__(self, path: Path) -> None:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            if os.fstat(handle).st_size < PAGE_BYTES:
                os.ftruncate(handle, PAGE_BYTES)
            self._map = mmap.mmap(handle, PAGE_BYTES)
        finally:
            os.close(handle)

    def beat(self, beat: Beat) -> None:
        """Put this beat in the place of the last one."""
        record = _encoder.encode(beat)
        if len(record) > _MOST:
            raise ValueError(f"cannot write a beat of {len(record)} bytes: the page holds {_MOST}")
        page = _HEAD.pack(_MAGIC, len(record), zlib.crc32(record)) + record
        self._map[: len(page)] = page

    def close(self) -> None:
        self._map.close()


def read_beat(path: Path) -> Beat | None:
    """The last beat, or None when there is no page or nothing whole on it."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        for _ in range(_REREADS):
            beat = _decode(os.read(handle, PAGE_BYTES))
            if beat is not None:
                return beat
            os.lseek(handle, 0, os.SEEK_SET)
    except OSError:
        return None
    finally:
        os.close(handle)
    return None


def _decode(page: bytes) -> Beat | None:
    if len(page) < _HEAD.size:
        return None
    magic, length, check = _HEAD.unpack_from(page)
    record = page[_HEAD.size : _HEAD.size + length]
    if magic != _MAGIC or zlib.crc32(record) != check:
        return None
    try:
        return _decoder.decode(record)
    except msgspec.DecodeError:
        return None
