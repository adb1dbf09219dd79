"""What happened and why: why, history."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from ops.cli import words
from ops.cli.acting import One
from ops.cli.page import Page
from ops.cli.place import Place
from ops.cli.reading import Json
from supervisor.protocol import AskHistory, AskWhy, Exit, Refused

KINDS = [
    "fill",
    "breach",
    "demand",
    "enforcement",
    "lockout",
    "unlock",
    "reset",
    "alert",
    "admin",
    "restart",
    "link",
]
Since = Annotated[
    str | None, typer.Option("--since", metavar="T", help="2h ago, 08:30 today, a date, or an ISO instant.")
]
COMMON = ("id", "at", "kind", "account", "schema")


def why(
    ctx: typer.Context,
    id_: Annotated[str | None, typer.Argument(metavar="ID", help="Of a line of history.")] = None,
    last: Annotated[bool, typer.Option("--last", help="The last breach (also without an ID).")] = False,
    account: One = None,
    json: Json = False,
) -> None:
    """Why something was done: event, figures, rule, demand, calls, confirmation."""
    place: Place = ctx.obj
    if id_ and last:
        raise Refused(Exit.USAGE, "cannot show both --last and one ID", "give one of them")
    answer = place.ask("why", AskWhy(account, id_))
    if json:
        place.page.json(answer)
        return
    for sentence in chain(answer):
        place.page.line(sentence)


def chain(answer: dict[str, Any]) -> list[str]:
    """The record of one decision as sentences, one per link of the chain."""
    breach, now = answer["breach"], answer["at"]
    shadow = breach.get("mode") == "shadow"
    lines = [f"{_when(breach, now)} {answer['account']}: {breach.get('text') or _breach(breach)}."]
    lines.append(f"  It was seen {_seen(str(breach.get('cause', '')))}, and breaks {_breach(breach)}.")
    if inputs := answer.get("inputs"):
        figures = ", ".join(f"{name} {value}" for name, value in inputs.items())
        lines.append(f"  It was worked out from: {figures}.")
    demands = answer.get("demand") or ()
    several = [demands] if isinstance(demands, dict) else demands
    wants = "would have demanded" if shadow else "demands"
    lines += [f"  The rule {wants}: {_demand(demand)}." for demand in several]
    if shadow:
        lines.append("  The rule is in shadow: nothing was done.")
    if lock := answer.get("lockout"):
        end = words.until(words.parsed(lock.get("until")), now)
        lines.append(f"  It locked the account (rule {lock.get('rule')}) until {end}.")
    if receipt := answer.get("enforcement"):
        lines += _calls(receipt, now)
    elif not shadow and demands:
        lines.append("  No call is recorded yet.")
    return lines


def _seen(cause: str) -> str:
    """What the record says brought it about, in words."""
    what, _, which = cause.partition(":")
    match what:
        case "fill" | "order":
            return f"with {what} {which}"
        case "price":
            return "when the price moved"
        case "time":
            return "as time passed"
        case "account":
            return "when the gateway told of the account"
        case _:
            return f"on {cause or 'an event'}"


def _when(line: dict[str, Any], now: datetime) -> str:
    return words.moment(words.parsed(line.get("at")), now)


def _breach(breach: dict[str, Any]) -> str:
    mark = f" at a mark of {breach['mark']}" if breach.get("mark") else ""
    contract = f" in {breach['contract']}" if breach.get("contract") else ""
    return f"{breach.get('rule')} with {breach.get('value')} against {breach.get('limit')}{contract}{mark}"


def _demand(demand: dict[str, Any]) -> str:
    target = demand.get("target") or demand.get("text") or ""
    contract = demand.get("contract")
    return f"{target}" + (f" ({contract})" if contract and str(contract) not in str(target) else "")


def _calls(receipt: dict[str, Any], now: datetime) -> list[str]:
    lines = []
    for call in receipt.get("calls") or ():
        kind = str(call.get("call", "")).replace("_", " ")
        what = f"{kind} {call.get('size') or ''} {call.get('contract', '')}"
        code = f" (code {call['code']}: {call.get('text', '')})" if call.get("code") else ""
        took = f" in {call['took_ms']:.0f} ms" if call.get("took_ms") is not None else ""
        lines.append(f"  {_when(call, now)} {' '.join(what.split())}: {call.get('outcome')}{code}{took}.")
    if receipt.get("verified"):
        at = words.moment(words.parsed(receipt.get("verified_at")), now)
        rounds = words.count(int(receipt.get("rounds") or 1), "round")
        lines.append(f"  The account showed it done at {at}, after {rounds}.")
    else:
        lines.append("  The account has NOT shown it done yet.")
    return lines


def history(
    ctx: typer.Context,
    since: Since = None,
    until: Annotated[str | None, typer.Option("--until", metavar="T")] = None,
    kind: Annotated[str | None, typer.Option("--kind", metavar="K", help=", ".join(KINDS))] = None,
    account: One = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", help="The newest N lines.")] = 200,
    json: Json = False,
) -> None:
    """What happened, line by line, oldest first."""
    place: Place = ctx.obj
    if kind is not None and kind not in KINDS:
        raise Refused(Exit.USAGE, f"cannot show {kind!r}: no such kind", ", ".join(KINDS))
    asked = AskHistory(instant(place, since), instant(place, until), kind, account, limit)
    answer = place.ask("history", asked)
    for line in answer["history"]:
        if json:
            place.page.json(line)
        else:
            place.page.line(history_line(place.page, line, answer["at"]))


def history_line(page: Page, line: dict[str, Any], now: datetime) -> str:
    """One line of history in words."""
    kind = str(line.get("kind", ""))
    account = f"{line['account']} " if line.get("account") else ""
    return f"{_when(line, now)}  {page.styled(kind.ljust(11), 'cyan')} {account}{told(kind, line, now)}"


def told(kind: str, line: dict[str, Any], now: datetime) -> str:
    """What the line says beyond its time and kind."""
    match kind:
        case "fill":
            pnl = f", result {words.money(line['pnl'])}" if line.get("pnl") is not None else ""
            own = " (own close)" if line.get("own") not in (None, False, "no") else ""
            what = f"{line.get('side')} {line.get('size')} {line.get('contract')}"
            return f"{what} at {line.get('price')}{pnl}{own}"
        case "breach":
            shadow = " (shadow)" if line.get("mode") == "shadow" else ""
            return str(line.get("text") or _breach(line)) + shadow
        case "demand":
            return f"{line.get('rule')}: {_demand(line)}"
        case "enforcement":
            calls = words.count(len(line.get("calls") or ()), "call")
            shown = "confirmed" if line.get("verified") else "not confirmed yet"
            return f"{line.get('demand')}: {calls}, {shown}"
        case "lockout" | "unlock":
            end = words.parsed(line.get("until"))
            return f"{line.get('rule')}: {line.get('reason')}" + (
                f", until {words.moment(end, now)}" if end else ""
            )
        case "alert":
            return f"{line.get('level')}: {line.get('message')}"
        case "admin":
            return f"{line.get('command')} by {line.get('by')} as {line.get('role')}: {line.get('outcome')}"
        case "restart":
            return f"{line.get('actor')}: {line.get('cause')}, uncovered for {line.get('uncovered_ms')} ms"
        case "link":
            return f"{line.get('state')} (generation {line.get('generation')})"
        case _:
            return ", ".join(f"{name} {value}" for name, value in line.items() if name not in COMMON)


def instant(place: Place, written: str | None) -> datetime | None:
    """`2h` (ago), `08:30` (today, local), `2026-03-02`, or an ISO instant; Refused for anything else."""
    if written is None:
        return None
    from config.values import Unreadable, duration, time_of_day

    with suppress(Unreadable):
        span = duration(written)
        return place.daemon_now() - span
    with suppress(Unreadable):
        clock = time_of_day(written)
        today = place.daemon_now().astimezone().date()
        return datetime.combine(today, clock).astimezone().astimezone(UTC)
    try:
        return datetime.fromisoformat(written).astimezone(UTC)
    except ValueError:
        hint = "2h (ago), 08:30 (today), 2026-03-02, or 2026-03-02T14:30:00Z"
        raise Refused(Exit.USAGE, f"cannot read the time {written!r}", hint) from None
