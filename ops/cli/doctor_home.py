"""What `doctor` sees of the machine and of the files in a home. Looks only: no folder is made here."""

from __future__ import annotations

import os
import shutil
import stat
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from ops.check import Check
from supervisor.home import LONGEST_SOCKET_PATH, Home

LEAST_FREE_MB = 500
SLOW_WRITE_S = 0.2
BACKUP_LATE_S = 2 * 86_400.0


def python() -> Check:
    version = sys.version_info[:2]
    return Check("python", (3, 12) <= version < (3, 15), sys.version.split()[0], "use 3.12 to 3.14")


def zones() -> Check:
    import zoneinfo

    try:
        zoneinfo.ZoneInfo("America/Chicago")
    except zoneinfo.ZoneInfoNotFoundError:
        return Check("time zones", False, "no data for America/Chicago", "install tzdata")
    return Check("time zones", True, "America/Chicago is known")


def home_checks(home: Home) -> Iterator[Check]:
    """The home from outside to inside; the rest is skipped where it cannot be entered."""
    if not home.folder.exists():
        yield Check("home", None, f"{home.folder} does not exist yet", "riskd up makes it")
        return
    unwritable = _unwritable(home)
    if unwritable is not None:
        yield unwritable
    else:
        yield Check("home", True, str(home.folder))
    yield _private(home)
    yield _secret_files(home)
    yield disk_space(shutil.disk_usage(home.folder).free // 1_000_000)
    if unwritable is None and home.run.is_dir():
        yield _write_speed(home)
    yield _socket(home)


def outside(home: Home) -> str | None:
    """Whose home this is, where it is not the caller's: a service's, seen by its trader."""
    if os.name != "posix" or os.geteuid() == 0 or not home.folder.exists():
        return None
    owner = home.folder.stat().st_uid
    return None if owner == os.geteuid() else f"user {owner}"


def _unwritable(home: Home) -> Check | None:
    owner = outside(home)
    if owner is not None:
        fact = f"{home.folder} belongs to {owner}: seen from outside"
        return Check("home", None, fact, "sudo riskd doctor sees the rest")
    for folder in (home.folder, home.run, home.logs, home.backups, home.journal):
        if folder.exists() and (not folder.is_dir() or not _can_write(folder)):
            cure = f"chmod u+rwx {folder}; or name another home with --home or RISKD_HOME"
            return Check("home", False, f"{folder} cannot be written", cure)
    return None


def _can_write(folder: Path) -> bool:
    """By trying: a file system mounted read-only, or full of quotas, passes any look at the modes."""
    if os.name == "posix" and os.geteuid() == 0 and not folder.stat().st_mode & stat.S_IWUSR:
        return False  # root could, the account that the guard runs under cannot
    probe = folder / f".doctor-{os.getpid()}"
    try:
        probe.touch(mode=0o600)
        probe.unlink()
    except OSError:
        return False
    return True


def _private(home: Home) -> Check:
    mode = stat.S_IMODE(home.folder.stat().st_mode)
    writers, readers = bool(mode & 0o022), bool(mode & 0o005)
    fact, cure = f"mode {mode:o}", f"chmod 750 {home.folder}"
    return Check("home is private", False if writers else None if readers else True, fact, cure)


def _secret_files(home: Home) -> Check:
    """The files that nobody else may read, wherever they are there."""
    beside = (home.admin_secret, home.folder / ".env", home.folder / "secrets.env", home.database)
    for path in (*beside, home.journal, home.backups):
        try:
            mode = stat.S_IMODE(path.stat().st_mode)
        except OSError:
            continue
        if os.name == "posix" and mode & 0o077:
            wanted = "700" if path.is_dir() else "600"
            return Check("secret files", False, f"{path} has mode {mode:o}", f"chmod {wanted} {path}")
    return Check("secret files", True, "open to nobody else")


def disk_space(free_mb: int) -> Check:
    """Whether there is room for the store, its backups and the logs."""
    cure = "make room: the guard goes on from memory, but history is lost"
    return Check("disk space", free_mb >= LEAST_FREE_MB, f"{free_mb} MB free", cure)


def _write_speed(home: Home) -> Check:
    probe = home.run / f".doctor-{os.getpid()}"
    started = time.monotonic()
    try:
        with probe.open("wb") as file:
            file.write(b"x" * 4096)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return Check("disk speed", False, f"no durable write: {error.strerror}", "see disk space")
    finally:
        probe.unlink(missing_ok=True)
    took_s = time.monotonic() - started
    fact = f"{took_s * 1000:.1f} ms for a durable write"
    return Check("disk speed", took_s < SLOW_WRITE_S, fact, "is the disk a network folder, or failing?")


def _socket(home: Home) -> Check:
    """A path that is too long for a socket moves it to the user's runtime folder."""
    own = len(os.fsencode(home.run / "control.sock"))
    if own <= LONGEST_SOCKET_PATH:
        return Check("control socket", True, f"{home.run / 'control.sock'}")
    try:
        place = home.socket_to_call()
    except OSError as error:
        fact = f"the path in the home has {own} bytes, and {error.strerror or error}"
        return Check("control socket", False, fact, "name a shorter home with --home or RISKD_HOME")
    fact = f"the path in the home has {own} bytes, more than {LONGEST_SOCKET_PATH}: it is {place}"
    return Check("control socket", None, fact, "a shorter home keeps it inside")


def backups(home: Home) -> Check:
    """A copy of the store that is not much older than the store itself."""
    cure = "riskd up, then riskd backup now"
    try:
        stores = [path for path in (home.database, home.folder / "riskd.db-wal") if path.exists()]
        copies = sorted(home.backups.glob("riskd-*.db"), key=lambda path: path.stat().st_mtime)
        if not stores or not copies:
            return Check("backup", None if stores else True, "none yet: one is made every day", cure)
        late_s = max(path.stat().st_mtime for path in stores) - copies[-1].stat().st_mtime
    except OSError as error:
        return Check("backup", None, f"{home.backups}: {error.strerror}")
    fact = f"{len(copies)} kept, the newest {copies[-1].name}"
    if late_s <= BACKUP_LATE_S:
        return Check("backup", True, fact)
    return Check("backup", False, f"{fact}: {late_s / 86_400:.0f} days older than the store", cure)
