"""Towards safety: lock, flatten, panic. Quick on purpose; each waits for the outcome and prints it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from ops.cli import words
from ops.cli.page import Page, talk
from ops.cli.place import Place, now
from ops.cli.reading import Json
from supervisor.protocol import DoFlatten, DoLock, DoPanic, Exit, OfAccounts, Refused

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
One = Annotated[str | None, typer.Option("--account", "-a", metavar="ACCT", help="Which account.")]


def lock(
    ctx: typer.Context,
    account: One = None,
    for_: Annotated[str | None, typer.Option("--for", metavar="2h", help="Lock for this long.")] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="T", help="HH:MM, or an ISO instant.")
    ] = None,
    reason: Annotated[str, typer.Option("--reason", metavar="R")] = "",
    json: Json = False,
    yes: Yes = False,
) -> None:
    """Lock an account against new risk: what is open stays and may be reduced, nothing may be added.

    Without --for and --until it stays locked until an admin lifts it.
    """
    place: Place = ctx.obj
    if for_ and until:
        raise Refused(Exit.USAGE, "cannot lock both --for and --until", "give one of them")
    request = DoLock(
        the_account(place, account, "lock"), _seconds(for_) if for_ else None, _instant(place, until), reason
    )
    _report(place.page, place.ask("lock", request), json)


def flatten(ctx: typer.Context, account: One = None, json: Json = False, yes: Yes = False) -> None:
    """Close all positions and cancel all orders of an account; returns when it is seen flat."""
    place: Place = ctx.obj
    _report(place.page, place.ask("flatten", DoFlatten(the_account(place, account, "flatten"))), json)


def panic(
    ctx: typer.Context,
    reason: Annotated[str, typer.Option("--reason", metavar="R")] = "panic",
    json: Json = False,
    yes: Yes = False,
) -> None:
    """Flatten and lock every account."""
    place: Place = ctx.obj
    _report(place.page, place.ask("panic", DoPanic(reason)), json)


def the_account(place: Place, named: str | None, deed: str) -> str:
    """The account to act on: the one named, or the only one there is."""
    if named:
        return named
    guarded = [entry["name"] for entry in place.ask("status", OfAccounts())["accounts"]]
    if len(guarded) == 1:
        return str(guarded[0])
    why = f"cannot {deed}: which account? Guarded: {', '.join(guarded)}"
    raise Refused(Exit.USAGE, why, "name it with -a")


def _seconds(written: str) -> float:
    from config.values import Unreadable, duration

    try:
        return duration(written).total_seconds()
    except Unreadable as error:
        raise Refused(Exit.USAGE, f"cannot lock for {written}: {error.why}", error.hint) from None


def _instant(place: Place, written: str | None) -> datetime | None:
    """`HH:MM` of today or tomorrow in local time (by the daemon's clock), or an ISO instant."""
    if written is None:
        return None
    from config.values import Unreadable, time_of_day

    try:
        clock = time_of_day(written)
    except Unreadable as error:
        try:
            instant = datetime.fromisoformat(written)
        except ValueError:
            raise Refused(Exit.USAGE, f"cannot lock until {written}: {error.why}", error.hint) from None
        return instant.astimezone(UTC)
    here = place.daemon_now().astimezone()
    today = datetime.combine(here.date(), clock).astimezone()
    if today > here:
        return today.astimezone(UTC)
    return datetime.combine(here.date() + timedelta(days=1), clock).astimezone().astimezone(UTC)


def _report(page: Page, answer: Any, json: bool) -> None:
    """Print the outcome; raises Refused where it was not all confirmed."""
    if json:
        page.json(answer)
    entries = answer.get("accounts", [answer]) if isinstance(answer, dict) else []
    failed = 0
    for entry in entries:
        failed += not _said(page if not json else None, entry)
    if failed:
        raise Refused(
            Exit.FAILED,
            "not confirmed yet: it goes on trying",
            "riskd status shows it; check the broker's screen",
        )


def _said(page: Page | None, entry: dict[str, Any]) -> bool:
    """One account's outcome in a line; whether it is what was asked for."""
    verified = entry.get("verified")
    parts = []
    if entry.get("locked"):
        end = words.parsed(entry.get("locked_until"))
        parts.append("locked " + (f"until {words.moment(end, now())}" if end else "until an admin lifts it"))
    if verified is not None:
        parts.append("flat" if verified else "NOT flat yet")
    if entry.get("text") and not parts:
        parts.append(str(entry["text"]))
    if page is not None:
        page.line(f"{entry.get('account', '')}: {', '.join(parts) or 'done'}")
    elif verified is False:
        talk(f"{entry.get('account', '')}: not flat yet")
    return verified is not False
