"""`riskd watch`: the live screen. One `status` per look, drawn with rich; keys are shown at the bottom."""

from __future__ import annotations

import select
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from ops.cli import words
from ops.cli.page import STATE_STYLE
from ops.cli.place import Place
from ops.cli.reading import Accounts, named
from supervisor.answers import Account, RuleStanding, Status
from supervisor.protocol import Exit, Refused

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

BAR_CELLS = 20
NEAR = 0.8
KEYS = "q quit   p pause   n next account   a all accounts"
SHORTEST_S = 0.1
UNSEEN_COLUMNS = 140
"""Width where there is no terminal to ask."""


def watch(
    ctx: typer.Context,
    account: Accounts = None,
    every: Annotated[str, typer.Option("--every", metavar="1s", help="How often it looks.")] = "1s",
    once: Annotated[bool, typer.Option("--once", help="Draw it once and end.")] = False,
) -> None:
    """The live screen: how much of each limit is used, what is left, countdowns, the last decisions."""
    from rich.console import Console

    place: Place = ctx.obj
    period_s = max(_period(every), SHORTEST_S)
    wide = None if sys.stdout.isatty() else UNSEEN_COLUMNS
    console = Console(no_color=not place.page.coloured, highlight=False, width=wide)
    request = named(account)
    if once:
        console.print(screen(place.ask_for(Status, "status", request), None, ""))
        return
    _live(place, console, request, period_s)


def _period(every: str) -> float:
    from config.values import Unreadable, duration

    try:
        return duration(every).total_seconds()
    except Unreadable as error:
        raise Refused(Exit.USAGE, f"cannot look every {every}: {error.why}", error.hint) from None


def _live(place: Place, console: object, request: object, period_s: float) -> None:
    from rich.console import Console
    from rich.live import Live

    from supervisor.protocol import OfAccounts

    assert isinstance(console, Console)
    assert isinstance(request, OfAccounts)
    seen: Status | None = None
    only: str | None = None
    paused, trouble = False, ""
    with Live(console=console, screen=console.is_terminal, auto_refresh=False) as live, _keys() as key:
        while True:
            if not paused:
                try:
                    seen, trouble = place.ask_for(Status, "status", request), ""
                except Refused as no:
                    if seen is None:
                        raise
                    trouble = str(no)
            if seen is not None:
                note = trouble or ("paused" if paused else "")
                live.update(screen(seen, only, note), refresh=True)
            match key(period_s):
                case "q":
                    return
                case "p":
                    paused = not paused
                case "n":
                    only = _next(seen, only)
                case "a":
                    only = None
                case _:
                    continue


def _next(seen: Status | None, only: str | None) -> str | None:
    names = [account.name for account in seen.accounts] if seen else []
    if not names:
        return None
    return names[(names.index(only) + 1) % len(names)] if only in names else names[0]


class _Keys:
    """One key at a time, waited for at most so long."""

    def __init__(self, readable: bool) -> None:
        self._readable = readable

    def __call__(self, wait_s: float) -> str:
        if not self._readable:
            time.sleep(wait_s)
            return ""
        return sys.stdin.read(1).lower() if select.select([sys.stdin], [], [], wait_s)[0] else ""


@contextmanager
def _keys() -> Iterator[_Keys]:
    """Keys as they are pressed, where there is a terminal that gives them."""
    try:
        import termios
        import tty

        before = termios.tcgetattr(sys.stdin)
    except (ImportError, OSError, ValueError, AttributeError):
        yield _Keys(readable=False)
        return
    except termios.error:
        yield _Keys(readable=False)
        return
    try:
        tty.setcbreak(sys.stdin)
        yield _Keys(readable=True)
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


# ---------------------------------------------------------------------- drawing


def screen(seen: Status, only: str | None, note: str, keys: str = KEYS) -> RenderableType:
    """The whole screen for one answer of `status`."""
    from rich.console import Group
    from rich.text import Text

    shown = [account for account in seen.accounts if only in (None, account.name)]
    parts: list[RenderableType] = [_head(seen, note)]
    parts += [Text(f"  ! {reason.text}", style="yellow") for reason in seen.reasons]
    parts += [_panel(account, seen.at) for account in shown]
    parts.append(Text(keys, style="dim"))
    return Group(*parts)


def _head(seen: Status, note: str) -> RenderableType:
    from rich.text import Text

    age = words.age(seen.link.last_event_age_s)
    text = Text.assemble(
        (f" {seen.state.upper()} ", f"bold reverse {STATE_STYLE.get(seen.state, 'white')}"),
        f"  link {seen.link.state} (last event {age} ago, since {words.moment(seen.link.since, seen.at)})",
        f"  rules {seen.rules.armed}+{seen.rules.shadow} of {seen.rules.configured}",
        f"  {words.moment(seen.at, seen.at)}",
    )
    if seen.test_clock:
        text.append(f"  TEST CLOCK {seen.test_clock}", style="magenta")
    if note:
        text.append(f"  {note}", style="bold yellow")
    return text


def _panel(account: Account, at: datetime) -> RenderableType:
    from rich.console import Group
    from rich.panel import Panel
    from rich.text import Text

    style = STATE_STYLE.get(account.state, "white")
    money = (
        f"day {words.money(account.net)}  realized {words.money(account.realized)}"
        f"  open {words.money(account.unrealized)}  {words.count(account.trades, 'trade')}"
    )
    parts: list[RenderableType] = [Text(money, style="bold"), _positions(account)]
    parts += [
        Text(f"LOCKED by {lock.rule}: {words.until(lock.until, at)}. {lock.reason}", style="magenta")
        for lock in account.lockouts
    ]
    if account.attempts:
        parts.append(
            Text(f"{words.count(account.attempts, 'attempt')} to take risk while locked", style="red")
        )
    parts.append(_rules(account.rules))
    last = account.last_decision
    if last is not None:
        parts.append(Text(f"last: {words.moment(last.at, at)} {last.rule}: {last.text}", style="cyan"))
    return Panel(
        Group(*parts), title=f"{account.name}  {account.state}", title_align="left", border_style=style
    )


def _positions(account: Account) -> RenderableType:
    from rich.text import Text

    if not account.positions:
        return Text("flat", style="dim")
    return Text("\n").join(
        Text(
            f"{p.root} {words.size(p.size)} from {words.plain(p.average_price)}, mark {words.plain(p.mark)},"
            f" {words.money(p.unrealized)}, {'stop in place' if p.protected else 'NO STOP'}"
        )
        for p in account.positions
    )


def _rules(rules: tuple[RuleStanding, ...]) -> RenderableType:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, show_header=True, header_style="dim")
    for column in ("rule", "", "used", "value", "limit", "left", "acts at", "state"):
        right = column in ("used", "value", "limit", "left")
        table.add_column(column, justify="right" if right else "left", no_wrap=column != "acts at")
    for rule in rules:
        name = rule.rule if rule.mode == "armed" else f"{rule.rule} ({rule.mode})"
        figures = (rule.value, rule.limit, rule.headroom, rule.acts_at)
        table.add_row(
            Text(name),
            bar(rule.used),
            Text(words.share(rule.used)),
            *(Text(words.plain(figure)) for figure in figures),
            Text(rule.state, style=STATE_STYLE.get(rule.state, "white")),
        )
    return table


def bar(used: float | None) -> Text:
    """How much of a limit is used, as a bar; beyond it a full one."""
    from rich.text import Text

    if used is None:
        return Text()
    share = min(max(used, 0.0), 1.0)
    full = round(share * BAR_CELLS)
    style = "red" if used >= 1 else "yellow" if used >= NEAR else "green"
    return Text.assemble(("#" * full, style), ("." * (BAR_CELLS - full), "dim"))
