"""What is recorded, read where no daemon runs: `python -P -m supervisor.offline --home H`.

One request, one reply.

A short child of the command line, which itself never opens the store. It holds the home's lock meanwhile, so
that no daemon starts into a store that is being read, and reads none that a daemon has. Frames as on the
control socket: a request on standard input, the reply on standard output. Who may run it the files' own
modes decide, and the admin secret where one is set.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

import filelock
import msgspec

from actors.clock import Clock, clock_from
from actors.messages import HistoryKind, Record
from actors.persistence import keys
from actors.persistence.backup import BackupRun
from actors.persistence.examining import examine
from actors.persistence.opening import CannotOpen, restore_named
from actors.persistence.queries import AuditQuery, HistoryQuery
from actors.persistence.rebuilding import kept_meta
from actors.persistence.store import Store
from config.pending import restored
from supervisor.home import Home
from supervisor.protocol import (
    COMMANDS,
    LENGTH_BYTES,
    UNREADABLE,
    Access,
    AskHistory,
    DoRestore,
    Exit,
    Garbled,
    Refused,
    Reply,
    Request,
    answer,
    frame,
    read_request,
    refusal,
)
from supervisor.roles import AdminSecret

MOST_LINES = 1000
RESTORE = "backup.restore"
LOCK_WAIT_S = 0.5

type Answerer = Callable[[Store, datetime, msgspec.Struct], dict[str, object]]


def main(argv: Sequence[str]) -> int:
    """Answer the one request; 0 whatever the answer is, for it says itself what it is."""
    parser = argparse.ArgumentParser(prog="python -m supervisor.offline", description=__doc__)
    parser.add_argument("--home", required=True, type=Path)
    home = Home(parser.parse_args(argv).home.absolute())
    payload = sys.stdin.buffer.read()[LENGTH_BYTES:]
    try:
        request = read_request(payload)
    except Garbled as error:
        sys.stdout.buffer.write(frame(refusal(error.request_id, Refused(Exit.USAGE, str(error)))))
        return 0
    sys.stdout.buffer.write(frame(replied(home, clock_from(os.environ), request)))
    return 0


def replied(home: Home, clock: Clock, request: Request) -> Reply:
    """The answer from the store of a home in which nothing runs, or why there is none."""
    try:
        answerer = ANSWERS.get(request.command)
        if answerer is None and request.command != RESTORE:
            raise Refused(Exit.NOT_RUNNING, f"cannot do {request.command}: riskd is not running", "riskd up")
        _permit(home, request)
        body = msgspec.msgpack.decode(request.body, type=COMMANDS[request.command].request)
        with filelock.FileLock(home.lock, timeout=LOCK_WAIT_S):
            if isinstance(body, DoRestore):
                return answer(request.id, _restored(home, clock.wall(), body))
            assert answerer is not None
            return answer(request.id, _answered(home, clock, request.command, answerer, body))
    except Refused as no:
        return refusal(request.id, no)
    except filelock.Timeout:
        why = f"cannot read {home.folder}: another process holds it"
        return refusal(request.id, Refused(Exit.FAILED, why, "riskd status"))
    except UNREADABLE as error:
        return refusal(request.id, Refused(Exit.USAGE, f"cannot do {request.command}: {error}"))
    except OSError as error:
        why = f"cannot read {home.folder}: {error.strerror}"
        return refusal(request.id, Refused(Exit.NOT_PERMITTED, why))


def _permit(home: Home, request: Request) -> None:
    secret = AdminSecret(home.admin_secret)
    if COMMANDS[request.command].access is not Access.ADMIN or not secret.is_set():
        return
    if not request.secret or not secret.is_right(request.secret):
        raise Refused(Exit.NOT_PERMITTED, f"cannot do {request.command} without the admin secret")


def _answered(
    home: Home, clock: Clock, command: str, answerer: Answerer, body: msgspec.Struct
) -> dict[str, object]:
    found, now = examine(home.database), clock.wall()
    if found.state == "missing":
        raise Refused(Exit.FAILED, f"nothing is recorded in {home.folder} yet", "riskd up")
    if found.state not in ("good", "older"):
        why = f"cannot read the store: it is {found.state}"
        raise Refused(Exit.FAILED, f"{why} ({found.why})" if found.why else why, "riskd doctor")
    try:
        store = Store.open(home.database, now, home.backups)
    except CannotOpen as error:
        raise Refused(Exit.FAILED, str(error), "riskd doctor") from error
    try:
        told = answerer(store, now, body)
        if COMMANDS[command].acting:
            _audit(store, command, now)
    finally:
        store.close()
    return {"schema": 1, "at": now, **told}


def _restored(home: Home, now: datetime, body: DoRestore) -> dict[str, object]:
    """Also in the place of a store that cannot be opened: damaged, or of a newer version."""
    _permit_loosening(home)
    try:
        opening = restore_named(home.database, home.backups, body.backup, now)
        store = Store.open(home.database, now, home.backups)
    except CannotOpen as error:
        raise Refused(Exit.FAILED, str(error), "riskd backup list") from error
    try:
        _audit(store, RESTORE, now)
    finally:
        store.close()
    text = f"{body.backup} is restored; what it replaces is kept as {opening.set_aside}"
    return {"schema": 1, "at": now, "text": text, "set_aside": opening.set_aside}


def _permit_loosening(home: Home) -> None:
    """Only a running guard knows the time well enough to let a command wait."""
    kept = kept_meta(home.database, keys.CONFIGURATION)
    if kept is not None and restored(kept).in_force.tamper.loosen_after is not None:
        why = "cannot restore a backup now: tamper.loosen_after asks for time, which a running guard keeps"
        raise Refused(Exit.COOLING_OFF, why, "riskd up, then the same command")


def _audit(store: Store, command: str, now: datetime) -> None:
    body: dict[str, object] = {
        "command": command,
        "role": "admin",
        "by": f"uid {os.getuid() if hasattr(os, 'getuid') else 0}, no daemon",
        "outcome": "done",
        "exit": 0,
    }
    key = keys.history_id(HistoryKind.ADMIN, "", f"{command}/{now.isoformat()}")
    store.apply([Record(key, HistoryKind.ADMIN, now, "", body)])


# ---------------------------------------------------------------------- what can be asked


def _history(store: Store, now: datetime, body: msgspec.Struct) -> dict[str, object]:
    assert isinstance(body, AskHistory)
    kind = None if body.kind is None else HistoryKind(body.kind)
    query = HistoryQuery(kind, body.since, body.until, body.account, min(body.limit, MOST_LINES))
    return {"history": store.history(query)}


def _audit_show(store: Store, now: datetime, body: msgspec.Struct) -> dict[str, object]:
    assert isinstance(body, AskHistory)
    return {"audit": store.audit(AuditQuery(body.since, min(body.limit, MOST_LINES)))}


def _audit_verify(store: Store, now: datetime, body: msgspec.Struct) -> dict[str, object]:
    chain = store.verify_audit()
    return {"entries": chain.entries, "head": chain.head, "broken_at": chain.broken_at}


def _backup_list(store: Store, now: datetime, body: msgspec.Struct) -> dict[str, object]:
    return {"backups": store.backup_names()}


def _backup_now(store: Store, now: datetime, body: msgspec.Struct) -> dict[str, object]:
    through = threading.Event()
    runs = list[BackupRun]()

    def ended(run: BackupRun) -> None:
        runs.append(run)
        through.set()

    store.start_backup(now, ended)
    through.wait()
    if runs[0].path is None:
        why = f"cannot make a backup: {runs[0].error}"
        raise Refused(Exit.FAILED, why, "is there room on the disk?")
    return {"path": str(runs[0].path)}


ANSWERS: dict[str, Answerer] = {
    "history": _history,
    "audit.show": _audit_show,
    "audit.verify": _audit_verify,
    "backup.list": _backup_list,
    "backup.now": _backup_now,
}
"""The same names and the same answers as the daemon's."""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
