"""What `riskd watch` draws, from one answer of `status` and the last decisions in words. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from ops.cli import words
from ops.cli.page import STATE_STYLE
from supervisor.answers import Account, RuleStanding, Status

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

BAR_CELLS = 20
NEAR = 0.8
KEYS = "q quit   p pause   n next account   a all accounts"


def screen(
    seen: Status, only: str | None, note: str, decisions: tuple[str, ...] = (), keys: str = KEYS
) -> RenderableType:
    """The whole screen for one answer of `status`."""
    from rich.console import Group
    from rich.text import Text

    shown = [account for account in seen.accounts if only in (None, account.name)]
    parts: list[RenderableType] = [_head(seen, note)]
    parts += [Text(f"  ! {reason.text}", style="yellow") for reason in seen.reasons]
    parts += [_panel(account, seen.at) for account in shown]
    if decisions:
        parts += [Text("last decisions", style="dim"), *(Text(f"  {line}") for line in decisions)]
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
    parts.append(_rules(account.rules, at))
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


def _rules(rules: tuple[RuleStanding, ...], at: datetime) -> RenderableType:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, show_header=True, header_style="dim")
    for column in ("rule", "", "used", "value", "limit", "left", "acts at", "state"):
        right = column in ("used", "value", "limit", "left")
        table.add_column(column, justify="right" if right else "left", no_wrap=column != "acts at")
    for rule in rules:
        name = rule.rule if rule.mode == "armed" else f"{rule.rule} ({rule.mode})"
        figures = (rule.value, rule.limit, rule.headroom, words.acts_at(rule.acts_at, at))
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
