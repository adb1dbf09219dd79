"""What `doctor` sees of the guard itself: its processes, its lock, its store, and what the daemon says."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from ops.check import Check
from ops.cli.doctor_home import backups, outside
from ops.cli.place import Place
from supervisor.home import Home
from supervisor.identity import Identity, recorded
from supervisor.protocol import DoTestAccount, Exit, Nothing, Refused

if TYPE_CHECKING:
    from ops.start import Sources

EXAMINE_S = 60.0
"""A store of a million trades takes seconds to check."""
LEAST_SQLITE = (3, 35, 0)


class Found(Struct):
    """What the examining child prints (`supervisor.examination`)."""

    sqlite: str
    held_by: int | None = None
    state: str = "missing"
    why: str = ""
    differs: tuple[str, ...] | None = None


def guard_checks(place: Place, sources: Sources) -> Iterator[Check]:
    """The daemon's own findings while it runs; what lies in the home while it does not."""
    home = place.home
    yield from processes(home)
    found = _examined(home, sources)
    if found is not None:
        yield _sqlite(found.sqlite)
    try:
        answer = place.ask("doctor", Nothing())
    except Refused as no:
        yield from _unanswered(no, home, found)
        return
    yield Check("database", True, "in use by the daemon")
    for entry in answer["checks"]:
        yield Check(entry["name"], entry.get("ok"), entry["fact"], entry.get("cure") or "")
    yield _in_force(place)


def processes(home: Home) -> Iterator[Check]:
    """Watchdog and daemon by what they wrote down; records of processes that are gone."""
    if outside(home) is not None:
        return
    watchdog, daemon = recorded(home.watchdog), recorded(home.daemon)
    stale = [path for path in (home.watchdog, home.daemon) if path.exists() and recorded(path) is None]
    if watchdog is None and daemon is not None:
        fact = f"none, the daemon is pid {daemon.pid}: nobody would replace it"
        yield Check("watchdog", False, fact, "riskd up starts one for it")
    elif watchdog is not None:
        yield Check("watchdog", True, f"pid {watchdog.pid}")
    elif stale:
        pid = _named(stale[0].read_bytes())
        fact = f"{stale[0].name} names a process ({pid}) that ended without a word"
        yield Check("processes", False, fact, "riskd up; riskd logs --file errors says why")


def _named(record: bytes) -> str:
    try:
        return f"pid {msgspec.json.decode(record, type=Identity).pid}"
    except msgspec.DecodeError:
        return "unreadable"


def _unanswered(no: Refused, home: Home, found: Found | None) -> Iterator[Check]:
    if no.code is not Exit.NOT_RUNNING:
        yield Check("daemon", None, no.why, no.hint)
        return
    running = recorded(home.watchdog) is not None or recorded(home.daemon) is not None
    yield Check("daemon", False if running else None, no.why, no.hint)
    yield backups(home)
    if found is None:
        return
    if found.held_by is not None and not running:
        who = f"process {found.held_by}" if found.held_by else "another process"
        cure = "it is no daemon of this home: end it, or wait until it is done"
        yield Check("lock", False, f"{home.lock} is held by {who}", cure)
        return
    yield _store(found)
    if found.differs is not None:
        yield _compared(found.differs)


def _examined(home: Home, sources: Sources) -> Found | None:
    """The store is looked at by a process of its own, which holds the home's lock meanwhile."""
    if not home.folder.exists() or outside(home) is not None:
        return None
    from ops.start import daemon_arguments

    command = [sys.executable, "-P", "-m", "supervisor.examination", "--home", str(home.folder)]
    try:
        done = subprocess.run(
            [*command, *daemon_arguments(sources, ())],
            cwd=home.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=EXAMINE_S,
            check=False,
        )
        return msgspec.json.decode(done.stdout, type=Found)
    except subprocess.TimeoutExpired:
        return Found("unknown", state="unreadable", why=f"not examined within {EXAMINE_S:g} s")
    except msgspec.DecodeError:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        return Found("unknown", state="unreadable", why=said[-1] if said else "it cannot be examined")


def _sqlite(version: str) -> Check:
    parts = tuple(int(part) for part in version.split(".")) if version != "unknown" else ()
    cure = "a newer Python brings a newer SQLite"
    return Check("sqlite", parts >= LEAST_SQLITE, f"{version}, one connection alone", cure)


_STATES: dict[str, tuple[bool | None, str, str]] = {
    "missing": (True, "none yet", ""),
    "good": (True, "whole", ""),
    "older": (None, "of an older version", "riskd up brings it up to date, after a backup"),
    "newer": (False, "of a newer version", "start that version, or riskd backup restore one of this one"),
    "damaged": (
        False,
        "damaged",
        "riskd up sets it aside and rebuilds it, lockouts first; or restore a backup",
    ),
    "unreadable": (False, "cannot be read", "check its owner, its permissions and the disk"),
}


def _store(found: Found) -> Check:
    ok, word, cure = _STATES[found.state]
    return Check("database", ok, f"{word}: {found.why}" if found.why else word, cure)


def _compared(differs: tuple[str, ...]) -> Check:
    if not differs:
        return Check("in force", True, "what the file says")
    some = ", ".join(differs[:3]) + (f" and {len(differs) - 3} more" if len(differs) > 3 else "")
    return Check("in force", False, f"the file says otherwise: {some}", "riskd up or riskd reload reads it")


def _in_force(place: Place) -> Check:
    """The daemon compares its files with what is in force."""
    try:
        answer = place.ask("config.diff", Nothing())
    except Refused as no:
        return Check("in force", False, no.why, "riskd config check")
    entries = answer.get("differences") or ()
    if answer.get("mistakes"):
        return Check("in force", False, "the file has mistakes", "riskd config check")
    return _compared(tuple(str(entry["key"]) for entry in entries))


def online_checks(place: Place) -> Iterator[Check]:
    """Log in and open the hubs, by the daemon."""
    yield from _tested(lambda: place.ask("account.test", DoTestAccount(), 60.0))


def _tested(test: Callable[[], Any]) -> Iterator[Check]:
    try:
        answer = test()
    except Refused as no:
        not_running = no.code is Exit.NOT_RUNNING
        yield Check("gateway", None if not_running else False, no.why, no.hint)
        return
    for step in answer["steps"]:
        yield Check(f"gateway: {step['name']}", bool(step["ok"]), step.get("text", ""), "riskd logs")
