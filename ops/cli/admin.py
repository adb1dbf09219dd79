"""Admin: end a lockout, start the day's figures from zero, try the alert channels."""

from __future__ import annotations

from typing import Annotated

import typer

from ops.cli.acting import One, Yes, the_account
from ops.cli.page import talk
from ops.cli.place import Place, confirm
from ops.cli.reading import Json
from ops.cli.table import group
from supervisor.protocol import DoReset, DoUnlock, Exit, Nothing, Refused

alerts = group("The alert channels.")


def unlock(
    ctx: typer.Context,
    rule: Annotated[str | None, typer.Argument(metavar="[RULE]", help="Only this rule's lockout.")] = None,
    account: One = None,
) -> None:
    """End a lockout. Refused where its condition still holds, or where `tamper` says so (exit 7)."""
    place: Place = ctx.obj
    name = the_account(place, account, "unlock")
    answer = place.ask("unlock", DoUnlock(name, rule)) or {}
    place.page.line(str(answer.get("text") or f"{name}: {rule or 'every lockout'} ended"))


def reset(ctx: typer.Context, account: One = None, yes: Yes = False) -> None:
    """Start an account's P&L, counts, streak and tiers of the day from zero now; ends no lockout."""
    place: Place = ctx.obj
    name = the_account(place, account, "reset")
    confirm(f"The day's figures of {name} start from zero. Its limits then count anew. Go on?", yes=yes)
    answer = place.ask("reset", DoReset(name)) or {}
    place.page.line(str(answer.get("text") or f"{name}: figures of the day start from zero"))


@alerts.callback()
def _group() -> None:
    """The alert channels."""


@alerts.command("test")
def test_alerts(ctx: typer.Context, json: Json = False) -> None:
    """Send a test alert to every channel and say which took it. Fails where one did not."""
    place: Place = ctx.obj
    talk("sending; a channel that hangs is given 10s")
    answer = place.ask("alerts.test", Nothing())
    channels = answer["channels"]
    if json:
        place.page.json(answer)
    else:
        for channel in channels:
            place.page.line(f"{channel['to']}: {channel['outcome']}")
        if not channels:
            place.page.line("no alert channel is configured: see alerts in the configuration")
    failed = [channel["to"] for channel in channels if not channel["sent"]]
    if failed:
        hint = "check its address and this machine's network"
        raise Refused(Exit.FAILED, f"{', '.join(failed)} did not take the test alert", hint)
