"""The files of one guard: what lies where in its home folder, and the address of its control socket.

The daemon, the watchdog and the command line all name files through this page. Which folder is the
home is settled before (`--home`, `RISKD_HOME`, or the system's place for a user's data).
"""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

LONGEST_SOCKET_PATH = 100
"""Bytes; Linux takes 107, macOS 103."""


class Home:
    """File names of one home. Nothing is created before `make`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.run = folder / "run"
        self.logs = folder / "logs"
        self.backups = folder / "backups"
        self.journal = folder / "journal"
        """What enforcement must remember over a kill, one file per account."""
        self.config = folder / "riskd.yaml"
        self.database = folder / "riskd.db"
        self.lock = folder / "riskd.lock"
        """Held by the daemon (or the short child that reads the store without one)."""
        self.admin_secret = folder / "admin.secret"
        self.socket_pointer = self.run / "control.path"
        self.daemon = self.run / "daemon.json"
        self.heartbeat = self.run / "heartbeat"
        self.stacks = self.run / "stacks.txt"
        self.watchdog = self.run / "watchdog.json"
        self.watchdog_beat = self.run / "watchdog.beat"
        self.watchdog_lock = self.run / "watchdog.lock"
        self.ended = self.run / "ended.json"
        """Why the guard ended, for the command line that started it."""
        self.simulator = self.run / "simulator.json"
        self.daemon_out = self.logs / "daemon.out"
        self.watchdog_out = self.logs / "watchdog.out"
        self.simulator_out = self.logs / "simulator.out"

    def __repr__(self) -> str:
        return f"Home({str(self.folder)!r})"

    def make(self) -> None:
        """Create the folders: private data, and a run folder that the socket's group may enter.

        Raises OSError where the home cannot be written.
        """
        self.folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        private = ((self.backups, 0o700), (self.journal, 0o700))
        for folder, mode in ((self.run, 0o750), (self.logs, 0o750), *private):
            folder.mkdir(mode=mode, exist_ok=True)
        probe = self.run / f".probe-{os.getpid()}"
        probe.touch(mode=0o600)
        probe.unlink()

    def socket(self) -> Path:
        """Where the daemon binds its control socket: in the home, or where the path is short enough."""
        own = self.run / "control.sock"
        if len(os.fsencode(own)) <= LONGEST_SOCKET_PATH:
            return own
        # Imported late, as below: every command reads this page, few have so long a path.
        import hashlib

        name = hashlib.sha256(os.fsencode(self.folder.absolute())).hexdigest()[:16]
        return runtime_folder() / f"{name}.sock"

    def socket_to_call(self) -> Path:
        """Where a caller finds the socket: the pointer left by the daemon, else the usual place."""
        with contextlib.suppress(OSError, UnicodeDecodeError):
            pointed = self.socket_pointer.read_text("utf-8").strip()
            if pointed:
                return Path(pointed)
        return self.socket()


def runtime_folder() -> Path:
    """The user's own runtime folder (short-lived files, short path), made if need be.

    Raises PermissionError when somebody else owns it or others may write to it.
    """
    base = os.environ.get("XDG_RUNTIME_DIR")
    usable = base and Path(base).is_dir() and os.access(base, os.W_OK)
    # Never $TMPDIR: it is long on macOS, and then the path would not fit either.
    place = Path(base, "riskd") if base and usable else Path(_short_temporary(), f"riskd-{_uid()}")
    place.mkdir(mode=0o700, exist_ok=True)
    seen = place.lstat()
    if not stat.S_ISDIR(seen.st_mode) or seen.st_uid != _uid() or seen.st_mode & 0o022:
        raise PermissionError(f"{place} is not a folder that belongs to this user alone")
    return place


def _short_temporary() -> str:
    if Path("/tmp").is_dir():
        return "/tmp"
    import tempfile

    return tempfile.gettempdir()


def _uid() -> int:
    return os.getuid() if hasattr(os, "getuid") else 0
