"""What is kept: the audit chain, backups, and exports to a file."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import IO, Annotated, Any, Literal

import msgspec
import typer

from ops.cli import words
from ops.cli.page import ReaderGone, progress
from ops.cli.place import Place, confirm
from ops.cli.reading import Json
from ops.cli.story import Since, instant
from ops.cli.table import group
from supervisor.identity import recorded
from supervisor.protocol import AskExport, AskHistory, DoRestore, Exit, Nothing, Refused

audit = group("Verify and show the audit chain: each entry holds the digest of the one before.")
backup = group("Make, list and restore backups of the store.")
EXPORT_S = 60.0


@audit.command()
def verify(ctx: typer.Context, json: Json = False) -> None:
    """Walk the chain from its first entry; exit 1 where it is broken."""
    place: Place = ctx.obj
    answer = place.ask("audit.verify", Nothing())
    if json:
        place.page.json(answer)
    elif answer.get("broken_at") is None:
        place.page.line(f"unbroken: {answer['entries']} in the chain, head {answer.get('head')}")
    if answer.get("broken_at") is not None:
        raise Refused(Exit.FAILED, f"the audit chain is broken at entry {answer['broken_at']}")


@audit.command("show")
def show_audit(
    ctx: typer.Context,
    since: Since = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N")] = 200,
    json: Json = False,
) -> None:
    """Who asked for what, in which role, and how it ended."""
    place: Place = ctx.obj
    answer = place.ask("audit.show", AskHistory(since=instant(place, since), limit=limit))
    for entry in answer["audit"]:
        if json:
            place.page.json(entry)
        else:
            at = words.moment(words.parsed(entry.get("at")), answer["at"])
            body = " ".join(
                f"{k}={v}" for k, v in entry.items() if k not in ("seq", "at", "digest", "previous")
            )
            place.page.line(f"{entry.get('seq')}  {at}  {body}")


@backup.command("now")
def backup_now(ctx: typer.Context) -> None:
    """Make a backup and check it."""
    answer = ctx.obj.ask("backup.now", Nothing())
    ctx.obj.page.line(f"backup made: {answer['path']}")


@backup.command("list")
def list_backups(ctx: typer.Context, json: Json = False) -> None:
    """Backups, newest first."""
    place: Place = ctx.obj
    answer = place.ask("backup.list", Nothing())
    if json:
        place.page.json(answer)
        return
    for entry in answer["backups"]:
        place.page.line(str(entry))
    if not answer["backups"]:
        place.page.line("no backup yet: one is made every day")


@backup.command("restore")
def restore(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="BACKUP")],
    yes: Annotated[bool, typer.Option("--yes", "-y")] = False,
) -> None:
    """Put a backup in the place of the store (loosens: may be refused). Restarts the daemon."""
    from ops.cli.lifecycle import wait_replaced

    place: Place = ctx.obj
    confirm(f"What was recorded after {name} is set aside. Go on?", yes=yes)
    before = recorded(place.home.daemon)
    answer = place.ask("backup.restore", DoRestore(name)) or {}
    place.page.line(str(answer.get("text") or f"{name} is restored"))
    if before is not None:
        wait_replaced(place, before)


def export(
    ctx: typer.Context,
    what: Annotated[Literal["logs", "history", "trades", "audit"], typer.Argument()],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="- writes to stdout")],
    since: Since = None,
    until: Annotated[str | None, typer.Option("--until", metavar="T")] = None,
    format_: Annotated[Literal["jsonl", "csv"], typer.Option("--format")] = "jsonl",
    mask: Annotated[bool, typer.Option("--mask", help="account-1, account-2 for the names.")] = False,
) -> None:
    """Write logs, history, trades or the audit to a file. Secrets are never in it."""
    place: Place = ctx.obj
    asked = AskExport(what, instant(place, since), instant(place, until), mask=mask)
    if str(file) == "-":
        try:
            _write(sys.stdout, what, _lines(place, asked), format_)
        except BrokenPipeError:
            raise ReaderGone from None
        return
    fresh = file.with_name(f".{file.name}.new")
    try:
        with fresh.open("w", encoding="utf-8", newline="") as out:
            count = _write(out, what, _lines(place, asked), format_)
        fresh.replace(file)
    except OSError as error:
        with suppress(OSError):
            fresh.unlink(missing_ok=True)
        raise Refused(Exit.FAILED, f"cannot write {file}: {error.strerror}") from None
    except Refused:
        fresh.unlink(missing_ok=True)
        raise
    place.page.line(f"{words.count(count, 'line')} in {file}")


def _lines(place: Place, asked: AskExport) -> Iterable[dict[str, Any]]:
    """Page after page, so that no answer grows too long."""
    with progress("lines") as step:
        while True:
            answer = place.ask("export", asked, EXPORT_S)
            yield from answer["lines"]
            step(len(answer["lines"]))
            if answer.get("next") is None:
                return
            asked = msgspec.structs.replace(asked, after=answer["next"])


def _write(out: IO[str], what: str, lines: Iterable[dict[str, Any]], format_: str) -> int:
    count = 0
    if what != "logs":  # pages of these come newest first
        lines = sorted(lines, key=lambda line: str(line.get("at")))
    if format_ == "jsonl":
        for count, line in enumerate(lines, 1):  # noqa: B007 - counted for the last word
            out.write(msgspec.json.encode(line).decode() + "\n")
        return count
    kept = list(lines)
    columns = list(dict.fromkeys(name for line in kept for name in line))
    table = csv.writer(out)
    table.writerow(columns)
    for line in kept:
        table.writerow([_cell(line.get(column)) for column in columns])
    return len(kept)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode().strip('"')
