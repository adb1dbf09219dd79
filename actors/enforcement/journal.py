"""The file that makes enforcement's memory outlive a kill: one whole memory per record, newest last.

A record is written with a single write() before any call goes out and before anybody is answered; it
is in the kernel's hands then and survives the process. Nothing waits for the disk: after a power cut
the last seconds may be missing, which can only bring back a lockout. The file is replaced by a new one
when it has grown; a torn or damaged tail is passed over.
"""

from __future__ import annotations

import contextlib
import os
import zlib
from collections import deque
from pathlib import Path
from struct import Struct as Layout

import msgspec

from actors.crash_points import crash_point
from actors.messages import AccountId

from .effects import Effect
from .memory import Memory, decode, encode

HEAD = Layout("<II")
"""Length and CRC-32 of the body that follows."""
LONGEST = 16 * 1024 * 1024
"""Bytes of one record at most: a longer one is damage."""
FULL = 1024 * 1024
"""Bytes after which a new file is begun."""


class Journal:
    """The journal of one account. One object serves all incarnations of its actor.

    Files are called `ACCOUNT.N.journal` in `folder`; normally there is one. A write that fails is
    remembered in `error` and the program goes on: protection never waits for the disk.
    """

    def __init__(self, folder: Path, account: AccountId, full: int = FULL) -> None:
        self._folder, self._account, self._full = folder, account, full
        self._file: int | None = None
        self._size = 0
        self._number = max((number for number, _ in self._files()), default=0)
        self._demands_on_disk = False
        self.memory: Memory | None = None
        """The newest memory of this process, written or not."""
        self.owed = deque[tuple[Effect, ...]]()
        """Rows and alerts of memory that is written, not told yet: an incarnation that dies leaves them to
        the next."""
        self.owner: object = None
        """The incarnation that may write; one that was given up must not, however late it wakes."""
        self.error: str | None = None
        self.damaged = 0
        """Bytes passed over when reading, besides the good records."""

    def read(self) -> Memory | None:
        """The newest good record that an earlier process left, if any."""
        for _, path in sorted(self._files(), reverse=True):
            last = self._last_in(path)
            if last is not None:
                return last
        return None

    def write(self, memory: Memory, owner: object = None, *, must: bool = False) -> bool:
        """Append the memory; False when the disk refused. With `must` it is not taken over then either."""
        if owner is not self.owner:
            return False
        body = encode(memory)
        record = HEAD.pack(len(body), zlib.crc32(body)) + body
        error = self._put(record)
        if owner is not self.owner:
            return False
        if error is not None:
            self.error = f"cannot write the journal in {self._folder}: {error.strerror or error}"
            self._abandon()
        else:
            self.error = None
            self._demands_on_disk = bool(memory.standing)
        if error is None or not must:
            self.memory = memory
        return error is None

    def _put(self, record: bytes) -> OSError | None:
        try:
            if self._file is None or self._size + len(record) > self._full:
                self._begin(record)
            else:
                self._append(record)
        except OSError as error:
            return error
        return None

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    # -------------------------------------------------------------------------- files

    def _files(self) -> list[tuple[int, Path]]:
        found = list[tuple[int, Path]]()
        for path in self._folder.glob(f"{self._account}.*.journal"):
            number = path.name.split(".")[-2]
            if number.isdigit():
                found.append((int(number), path))
        return found

    def _begin(self, record: bytes) -> None:
        """A new file that holds the newest memory; the older ones are not needed once it does."""
        old = [path for _, path in self._files()]
        self.close()
        self._number += 1
        path = self._folder / f"{self._account}.{self._number}.journal"
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        self._size = 0
        crash_point("journal.begun")
        try:
            self._append(record)
        except OSError:
            path.unlink(missing_ok=True)
            raise
        crash_point("journal.replaced")
        for one in old:
            one.unlink(missing_ok=True)

    def _append(self, record: bytes) -> None:
        assert self._file is not None
        crash_point("journal.writing")
        written = os.write(self._file, record)
        self._size += written
        if written < len(record):
            raise OSError(f"{written} of {len(record)} bytes written")
        crash_point("journal.written")

    def _abandon(self) -> None:
        """What lies behind half a record could not be read: go on in a new file, when one can be had.

        A demand on the disk that cannot be taken back any more is worse than none: it would close, after
        a restart, what was opened long after it was met. Lockouts are in the store as well.
        """
        with contextlib.suppress(OSError):
            self.close()
        self._file = None
        if self._demands_on_disk:
            for _, path in self._files():
                with contextlib.suppress(OSError):
                    path.unlink()
            self._demands_on_disk = False

    def _last_in(self, path: Path) -> Memory | None:
        data = path.read_bytes()
        last, at = b"", 0
        while at + HEAD.size <= len(data):
            length, check = HEAD.unpack_from(data, at)
            body = data[at + HEAD.size : at + HEAD.size + length]
            if length > LONGEST or len(body) < length or zlib.crc32(body) != check:
                break
            last, at = body, at + HEAD.size + length
        self.damaged += len(data) - at
        if not last:
            return None
        try:
            return decode(last)
        except msgspec.MsgspecError:
            self.damaged += len(last)
            return None
