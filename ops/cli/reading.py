"""What people look at: status, positions, orders, lockouts, hours, version."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ops.cli import words
from ops.cli.page import Page
from ops.cli.place import Place, now
from ops.cli.version import own_version
from supervisor.answers import Account, Position, Status
from supervisor.protocol import Exit, Nothing, OfAccounts, Refused

Accounts = Annotated[
    list[str] | None, typer.Option("--account", "-a", metavar="ACCT", help="Only this account (repeatable).")
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]

CHECK = {
    "down": Exit.NOT_RUNNING,
    "safe_mode": Exit.DEGRADED,
    "blind": Exit.DEGRADED,
    "degraded": Exit.DEGRADED,
    "locked": Exit.LOCKED,
    "guarding": Exit.GOOD,
}


def named(accounts: list[str] | None) -> OfAccounts:
    return OfAccounts(tuple(accounts or ()))


def status(
    ctx: typer.Context,
    account: Accounts = None,
    check: Annotated[bool, typer.Option("--check", help="Let the exit code tell the state.")] = False,
    json: Json = False,
) -> None:
    """Is it guarding? Day P&L against the limits, lockouts, how fresh the link is, the last decision."""
    place: Place = ctx.obj
    try:
        if json:
            answer = place.ask("status", named(account))
            place.page.json(answer)
            state = str(answer["state"])
        else:
            seen = place.ask_for(Status, "status", named(account))
            show_status(place.page, seen)
            state = seen.state
    except Refused as no:
        if json and no.code is Exit.NOT_RUNNING:
            place.page.json({"schema": 1, "at": now(), "state": "down"})
        raise
    if check:
        raise typer.Exit(CHECK[state])


def show_status(page: Page, seen: Status) -> None:
    """One glance: the state in a word, then each account in a line, then what needs attention."""
    page.line(f"{page.dot(seen.state)} {page.state(seen.state.upper())}  {_facts(seen)}")
    for reason in seen.reasons:
        since = f" (since {words.moment(reason.since, seen.at)})" if reason.since else ""
        page.line(f"  ! {reason.text}{since}")
    if seen.accounts:
        page.table(
            (
                "ACCOUNT",
                "STATE",
                "DAY P&L",
                "REALIZED",
                "OPEN",
                "POSITIONS",
                "NEAREST LIMIT",
                "LAST DECISION",
            ),
            (_account_row(page, account, seen) for account in seen.accounts),
            right=(2, 3, 4),
        )
    for account in seen.accounts:
        for lockout in account.lockouts:
            page.line(
                f"  ! {account.name} {page.state('locked')} by {lockout.rule}:"
                f" {words.until(lockout.until, seen.at)}. {lockout.reason}"
            )
        if account.lockouts:
            page.line(f"    Why: riskd why --last -a {account.name}")
    for pending in seen.pending:
        page.line(f"  . waits until {words.moment(pending.effective_at, seen.at)}: {pending.change}")
    for note in seen.notes:
        page.line(page.styled(f"  . {note.text}", "dim"))


def _facts(seen: Status) -> str:
    up = words.span((seen.at - seen.daemon.started_at).total_seconds())
    link = f"link {seen.link.state}"
    if seen.link.last_event_age_s is not None:
        link += f", last event {words.age(seen.link.last_event_age_s)} ago"
    rules = words.count(seen.rules.armed, "rule") + " armed"
    if seen.rules.shadow:
        rules += f", {seen.rules.shadow} in shadow"
    parts = [words.count(len(seen.accounts), "account"), rules, link, f"up {up}"]
    if seen.test_clock:
        parts.append(f"TEST CLOCK {seen.test_clock}")
    return " | ".join(parts)


def _account_row(page: Page, account: Account, seen: Status) -> tuple[str, ...]:
    return (
        account.name,
        page.state(account.state),
        words.money(account.net),
        words.money(account.realized),
        words.money(account.unrealized),
        _positions(account.positions),
        _nearest(account),
        _decision(account, seen),
    )


def _positions(positions: tuple[Position, ...]) -> str:
    if not positions:
        return "flat"
    return ", ".join(
        f"{p.root} {words.size(p.size)}{' (stop)' if p.protected else ' (no stop)'}" for p in positions
    )


def _nearest(account: Account) -> str:
    """The rule that has used most of its limit."""
    judged = [rule for rule in account.rules if rule.used is not None and rule.mode == "armed"]
    if not judged:
        return words.NONE
    rule = max(judged, key=lambda r: r.used or 0.0)
    return f"{rule.rule} {words.share(rule.used)}"


def _decision(account: Account, seen: Status) -> str:
    last = account.last_decision
    return words.NONE if last is None else f"{words.moment(last.at, seen.at)} {last.text}"


def _answered(place: Place, command: str, accounts: list[str] | None, json: bool) -> Any:
    """The answer to print for people; None when it was printed as JSON."""
    answer = place.ask(command, named(accounts))
    if json:
        place.page.json(answer)
        return None
    return answer


def positions(ctx: typer.Context, account: Accounts = None, json: Json = False) -> None:
    """Open positions: size, average price, mark, what they are worth, whether a stop protects them."""
    place: Place = ctx.obj
    answer = _answered(place, "positions", account, json)
    if answer is None:
        return
    entries = answer["positions"]
    if not entries:
        place.page.line("flat: no open position")
        return
    place.page.table(
        ("ACCOUNT", "CONTRACT", "SIZE", "AVERAGE", "MARK", "OPEN P&L", "NOTIONAL", "STOP"),
        (
            (
                p["account"],
                p["contract"],
                words.size(p["size"]),
                words.plain(p["average_price"]),
                words.plain(p["mark"]),
                words.money(p["unrealized"]),
                words.money(p["notional"]),
                "protected" if p["protected"] else "none",
            )
            for p in entries
        ),
        right=(2, 3, 4, 5, 6),
    )


def orders(ctx: typer.Context, account: Accounts = None, json: Json = False) -> None:
    """Working orders."""
    place: Place = ctx.obj
    answer = _answered(place, "orders", account, json)
    if answer is None:
        return
    entries = answer["orders"]
    if not entries:
        place.page.line("no working order")
        return
    place.page.table(
        ("ACCOUNT", "ORDER", "CONTRACT", "SIDE", "SIZE", "TYPE", "STOP", "LIMIT", "STATUS"),
        (
            (
                o["account"],
                str(o["id"]),
                o["contract"],
                o["side"],
                str(o["size"]),
                o["type"],
                words.plain(o["stop_price"]),
                words.plain(o["limit_price"]),
                o["status"],
            )
            for o in entries
        ),
        right=(4, 6, 7),
    )


def lockouts(ctx: typer.Context, account: Accounts = None, json: Json = False) -> None:
    """What is locked, by which rule, until when, and why."""
    place: Place = ctx.obj
    answer = _answered(place, "lockouts", account, json)
    if answer is None:
        return
    entries, at = answer["lockouts"], answer["at"]
    if not entries:
        place.page.line("no lockout")
        return
    place.page.table(
        ("ACCOUNT", "RULE", "KIND", "SINCE", "UNTIL", "REASON"),
        (
            (
                lock["account"],
                lock["rule"],
                lock["kind"],
                words.moment(words.parsed(lock["since"]), at),
                words.until(words.parsed(lock["until"]), at),
                lock["reason"],
            )
            for lock in entries
        ),
    )


def hours(ctx: typer.Context, account: Accounts = None, json: Json = False) -> None:
    """The trading day, the sessions and the holidays ahead."""
    place: Place = ctx.obj
    answer = place.ask("hours", named(account))
    if json:
        place.page.json(answer)
        return
    for name, value in answer.items():
        if name not in ("schema", "at"):
            _show_hours(place.page, name, value, answer["at"])


def _show_hours(page: Page, name: str, value: Any, at: Any) -> None:
    if isinstance(value, list):
        page.line(f"{name}:" if value else f"{name}: none")
        for entry in value:
            page.line("  " + "  ".join(f"{k} {_shown(v, at)}" for k, v in entry.items()))
    else:
        page.line(f"{name}: {_shown(value, at)}")


def _shown(value: Any, at: Any) -> str:
    instant = words.parsed(value) if not isinstance(value, str) else None
    return words.moment(instant, at) if instant else words.plain(value)


def version(ctx: typer.Context, json: Json = False) -> None:
    """The version of riskd here, and of the daemon where one runs."""
    place: Place = ctx.obj
    running = None
    try:
        running = place.ask("version", Nothing())
    except Refused as no:
        if no.code is not Exit.NOT_RUNNING:
            raise
    if json:
        place.page.json({"schema": 1, "at": now(), "version": own_version(), "daemon": running})
        return
    place.page.line(f"riskd {own_version()}")
    if running is not None:
        place.page.line(f"daemon {running.get('version', 'unknown')}")
