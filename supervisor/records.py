"""Answers from what was recorded: logs, reports, the audit chain, backups, exports; and what is in force.

They join the others in `HANDLERS`, which is complete once this page is imported.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import trio

from actors.messages import AccountSnapshot, HistoryKind
from actors.persistence.audit import Chain
from actors.persistence.queries import (
    AuditQuery,
    BackedUp,
    BackupNow,
    HistoryQuery,
    ListBackups,
    RestoreBackup,
    Restored,
    VerifyAudit,
)
from supervisor.cooling import permit_loosening
from supervisor.handlers import HANDLERS, Call, Daemon
from supervisor.life import REPLACE_ME, Ending
from supervisor.log_reading import read_log
from supervisor.masking import hiding, without_secrets
from supervisor.protocol import (
    AskExport,
    AskHistory,
    AskLogs,
    DoRestore,
    Exit,
    Nothing,
    Refused,
)
from supervisor.status import status as status_of

__all__ = ["HANDLERS"]

BACKUP_S = 60.0
VERIFY_S = 30.0
MOST_LINES = 1000
"""Lines of one answer: a longer one would not fit a frame."""
BACKUP_LATE = timedelta(days=2)


def headed(daemon: Daemon, **parts: object) -> dict[str, object]:
    return {"schema": 1, "at": daemon.now().wall, **parts}


@HANDLERS.on("logs", AskLogs)
async def logs(context: Call, request: AskLogs) -> object:
    path = context.parts.program.home.logs / f"{request.file}.log"
    limit = min(request.limit, MOST_LINES)
    page = await trio.to_thread.run_sync(
        lambda: read_log(path, after=request.after, since=request.since, level=request.level, limit=limit)
    )
    return headed(context.parts, logs=page.lines, next=page.next)


@HANDLERS.on("audit.verify", Nothing)
async def audit_verify(context: Call, request: Nothing) -> object:
    chain = await context.parts.ask("persistence", VerifyAudit(), VERIFY_S)
    assert isinstance(chain, Chain)
    return headed(context.parts, entries=chain.entries, head=chain.head, broken_at=chain.broken_at)


@HANDLERS.on("audit.show", AskHistory)
async def audit_show(context: Call, request: AskHistory) -> object:
    entries = await context.parts.ask(
        "persistence", AuditQuery(request.since, min(request.limit, MOST_LINES))
    )
    return headed(context.parts, audit=entries)


@HANDLERS.on("backup.now", Nothing)
async def backup_now(context: Call, request: Nothing) -> object:
    made = await context.parts.ask("persistence", BackupNow(), BACKUP_S)
    assert isinstance(made, BackedUp)
    if made.path is None:
        raise Refused(Exit.FAILED, f"cannot make a backup: {made.error}", "is there room on the disk?")
    return headed(context.parts, path=made.path)


@HANDLERS.on("backup.restore", DoRestore)
async def backup_restore(context: Call, request: DoRestore) -> object:
    """Past rows come from the backup; lockouts, resets and audit stay. Then the daemon is replaced."""
    daemon = context.parts
    await permit_loosening(daemon.program, f"backup restore/{request.backup}", daemon.now().wall)
    done = await daemon.ask("persistence", RestoreBackup(request.backup), BACKUP_S)
    assert isinstance(done, Restored)
    if not done.ok:
        raise Refused(Exit.FAILED, done.error or f"cannot restore {request.backup}. riskd backup list")
    why = f"{request.backup} was restored by {context.by}"
    context.after_reply(lambda: daemon.program.end(Ending(REPLACE_ME, why)))
    text = f"{request.backup} is restored; what it replaces is kept as {done.set_aside}"
    return headed(daemon, text=text, set_aside=done.set_aside)


@HANDLERS.on("backup.list", Nothing)
async def backup_list(context: Call, request: Nothing) -> object:
    return headed(context.parts, backups=await context.parts.ask("persistence", ListBackups()))


@HANDLERS.on("export", AskExport)
async def export(context: Call, request: AskExport) -> object:
    """One page, the newest first; `next` leads to the one before it, or is null."""
    daemon = context.parts
    page = await _exported(daemon, request, min(request.limit, MOST_LINES))
    hide = hiding({armed.guarded.name: armed.guarded.id for armed in daemon.program.armed.values()})
    lines = [hide(line) if request.mask else line for line in map(without_secrets, page["lines"])]
    return headed(daemon, lines=lines, next=page["next"])


async def _exported(daemon: Daemon, request: AskExport, limit: int) -> dict[str, Any]:
    if request.what == "logs":
        return await _exported_logs(daemon, request, limit)
    until = request.until if request.after is None else datetime.fromisoformat(request.after)
    kind = HistoryKind.FILL if request.what == "trades" else None
    query = HistoryQuery(kind, request.since, until, None, limit)
    asked = AuditQuery(request.since, limit, until) if request.what == "audit" else query
    lines = await daemon.ask("persistence", asked)
    assert isinstance(lines, tuple)
    return page_back(lines, limit)


def page_back(lines: tuple[dict[str, object], ...], limit: int) -> dict[str, Any]:
    """A full page without its oldest instant, which the page before it takes up whole."""
    if len(lines) < limit:
        return {"lines": lines, "next": None}
    oldest = str(lines[0]["at"])
    kept = tuple(line for line in lines if line["at"] != oldest)
    if not kept:
        raise Refused(
            Exit.FAILED, f"cannot export: more than {limit} lines at {oldest}", "ask for a shorter span"
        )
    until = datetime.fromisoformat(oldest) + timedelta(microseconds=1)
    return {"lines": kept, "next": until.isoformat()}


async def _exported_logs(daemon: Daemon, request: AskExport, limit: int) -> dict[str, Any]:
    path = daemon.program.home.logs / "riskd.log"
    after = int(request.after or 0)
    page = await trio.to_thread.run_sync(
        lambda: read_log(path, after=after, since=request.since, level=None, limit=limit)
    )
    lines = [line for line in page.lines if request.until is None or _before(line, request.until)]
    return {"lines": lines, "next": str(page.next) if page.next != after else None}


def _before(line: dict[str, object], until: datetime) -> bool:
    """A line without an instant of its own belongs to those around it."""
    at = line.get("at")
    return not isinstance(at, str) or datetime.fromisoformat(at) < until


@HANDLERS.on("account.list", Nothing)
async def account_list(context: Call, request: Nothing) -> object:
    """Every account of the login as last seen, and which are guarded."""
    program = context.parts.program
    listed: dict[int, dict[str, object]] = {}
    for report in program.accounts.found:
        listed[report.id] = {
            "id": report.id,
            "name": report.name,
            "can_trade": report.can_trade,
            "simulated": report.simulated,
            "guarded": report.name in program.armed,
        }
    for name, armed in program.armed.items():
        snapshot = program.board.read(("snapshot", name), AccountSnapshot)
        entry = listed.setdefault(
            armed.guarded.id, {"id": armed.guarded.id, "name": name, "simulated": None, "guarded": True}
        )
        entry["can_trade"] = snapshot.can_trade if snapshot is not None else None
    return headed(context.parts, accounts=list(listed.values()))


@HANDLERS.on("doctor", Nothing)
async def doctor(context: Call, request: Nothing) -> object:
    """The daemon's own findings: every reason to be less than guarding, and how old the last backup is."""
    daemon = context.parts
    now = status_of(daemon.seen())
    checks: list[dict[str, object]] = [
        {
            "name": reason.code,
            "ok": None if reason.code in ("locked", "halted") else False,
            "fact": reason.text,
            "cure": "riskd logs",
        }
        for reason in now.reasons
    ]
    checks.append({"name": "daemon", "ok": True, "fact": f"pid {now.daemon.pid}, {now.state}", "cure": ""})
    rules = now.rules
    covered = rules.armed + rules.shadow == rules.configured
    fact = f"{rules.armed} armed, {rules.shadow} in shadow, of {rules.configured}"
    checks.append({"name": "rules", "ok": covered, "fact": fact, "cure": "riskd actors tree"})
    checks.append(await _backups(daemon))
    return headed(daemon, checks=checks)


async def _backups(daemon: Daemon) -> dict[str, object]:
    names = await daemon.ask("persistence", ListBackups())
    assert isinstance(names, tuple | list)
    check: dict[str, object] = {"name": "backup", "cure": "riskd backup now"}
    if not names:
        return check | {"ok": None, "fact": "none yet"}
    newest = trio.Path(daemon.program.home.backups, str(names[0]))
    try:
        changed = (await newest.stat()).st_mtime
    except OSError as error:
        return check | {"ok": False, "fact": f"{newest.name}: {error.strerror}"}
    late = datetime.now(UTC) - datetime.fromtimestamp(changed, UTC) > BACKUP_LATE
    return check | {"ok": not late, "fact": f"{len(names)} kept, the newest {newest.name}"}
