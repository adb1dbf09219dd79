"""One guard per gateway account: a lock in the user's runtime folder for each host, port and account.

Two homes that guard the same account would close each other's positions twice and lock each on its own
account of the day. The kernel gives a lock back however its holder ends.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import filelock
import msgspec
from msgspec import Struct

from supervisor.home import Home, runtime_folder
from supervisor.identity import identity_of

PORTS = {"http": 80, "https": 443}


class Holder(Struct, frozen=True):
    """Who guards an account, as written beside its lock."""

    pid: int
    start_ticks: int
    home: str


class Claims:
    """The accounts that this process has claimed."""

    def __init__(self, home: Home, api_url: str, folder: Callable[[], Path] = runtime_folder) -> None:
        self._home, self._folder = home, folder
        parts = urlsplit(api_url)
        self._gateway = f"{parts.hostname}:{parts.port or PORTS.get(parts.scheme, 0)}"
        self._locks: dict[int, filelock.BaseFileLock] = {}

    def take(self, account: int) -> str:
        """Claim an account; who has it already, in words, where another guard does, else empty.

        Raises OSError where the runtime folder cannot be used.
        """
        if account in self._locks:
            return ""
        lock, record = self._files(account)
        taken = filelock.FileLock(lock)
        try:
            taken.acquire(timeout=0)
        except filelock.Timeout:
            return _in_words(record)
        self._locks[account] = taken
        me = identity_of(os.getpid())
        ticks = me.start_ticks if me else 0
        holder = Holder(os.getpid(), ticks, str(self._home.folder))
        record.write_bytes(msgspec.json.encode(holder))
        return ""

    def release(self) -> None:
        """Give all of them back."""
        for account, lock in self._locks.items():
            # The lock's own file stays: removing it under somebody who waits for it would make two holders.
            self._files(account)[1].unlink(missing_ok=True)
            lock.release()
        self._locks.clear()

    def _files(self, account: int) -> tuple[Path, Path]:
        name = hashlib.sha256(f"{self._gateway}/{account}".encode()).hexdigest()[:16]
        folder = self._folder()
        return folder / f"{name}.lock", folder / f"{name}.json"


def _in_words(record: Path) -> str:
    with contextlib.suppress(OSError, msgspec.DecodeError):
        holder = msgspec.json.decode(record.read_bytes(), type=Holder)
        return f"pid {holder.pid} guards it from {holder.home}"
    return "another guard has it"
