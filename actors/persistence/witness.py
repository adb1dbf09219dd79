"""The witness: a file outside the home that notes how far the audit chain had come, per guarded account.

Whoever deletes the home, or puts an older copy of it back, deletes the lockouts in it as well; the witness
then knows more than the home does. It is written after the rows are durable, in a thread of its own, so that
a slow or missing disk holds up nothing.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

import filelock
import msgspec
from msgspec import Struct

from actors.crash_points import crash_point
from config.errors import OperatorMustAct

from .backup import durable

LOCK_S = 2.0
"""Another home may write its own accounts into the same file."""
PORTS = {"http": 80, "https": 443}


class Head(Struct, frozen=True):
    """Where the audit chain of one home stood. `store` tells one home from another."""

    store: str
    head: str
    at: datetime


class Entries(Struct, frozen=True):
    """The file: one head per gateway host, port and account."""

    schema: int = 1
    accounts: dict[str, Head] = {}


class Unreadable(OperatorMustAct):
    """The file is there and is no witness."""


def name_of(api_url: str, account: int) -> str:
    """`api.topstepx.com:443/1001`."""
    parts = urlsplit(api_url)
    return f"{parts.hostname}:{parts.port or PORTS.get(parts.scheme, 0)}/{account}"


def read(path: Path) -> dict[str, Head]:
    """What the witness saw; nothing where there is none. Raises Unreadable, OSError."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Entries).accounts
    except FileNotFoundError:
        return {}
    except msgspec.MsgspecError as error:
        raise Unreadable(f"{path} is no witness: {error}") from error


def write(path: Path, names: frozenset[str], head: Head) -> None:
    """Note the head for these accounts, all or nothing; what is noted for others stays.

    Raises OSError, filelock.Timeout. A file that is no witness is replaced: what it said was judged before.
    """
    if not path.parent.is_dir():
        # Making it would put the witness of a disk that is not there on the one that it is to outlive.
        raise FileNotFoundError(f"there is no folder {path.parent}")
    with filelock.FileLock(f"{path}.lock", timeout=LOCK_S):
        try:
            known = read(path)
        except Unreadable:
            known = {}
        fresh = path.with_name(f"{path.name}.new")
        body = msgspec.json.encode(Entries(1, {**known, **dict.fromkeys(names, head)}))
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        crash_point("witness.writing")
        fresh.replace(path)
        crash_point("witness.written")
        durable(path.parent)


class WitnessWriter:
    """Writes the newest head in a thread of its own; of what comes meanwhile only the newest counts."""

    def __init__(self, path: Path, done: Callable[[str | None], None]) -> None:
        """`done` is called in that thread: None when it was written, else why not."""
        self.path = path
        self.names: frozenset[str] = frozenset()
        self._done = done
        self._lock = threading.Lock()
        self._next: Head | None = None
        self._writing = False

    def note(self, head: Head) -> None:
        with self._lock:
            self._next = head
            if self._writing or not self.names:
                return
            self._writing = True
        threading.Thread(target=self._run, name="witness", daemon=True).start()

    def _run(self) -> None:
        while True:
            with self._lock:
                head, self._next = self._next, None
                if head is None:
                    self._writing = False
                    return
            self._done(self._written(head))

    def _written(self, head: Head) -> str | None:
        try:
            write(self.path, self.names, head)
        except (OSError, filelock.Timeout) as error:
            return f"cannot write the witness {self.path}: {error}"
        return None
