"""`riskd rules`: where each rule stands, and (admin) switching and setting one."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ops.cli import words
from ops.cli.page import Page
from ops.cli.place import Place, now
from ops.cli.reading import Accounts, Json
from ops.cli.table import group
from supervisor.protocol import DoRuleMode, DoRuleSet, Exit, OfRules, Refused

rules = group("Where each rule stands: its figure, its limit, what is left, where it acts.")
rules.info.no_args_is_help = False
Account = Annotated[
    str | None, typer.Option("--account", "-a", metavar="ACCT", help="Only for this account.")
]
Rule = Annotated[str, typer.Argument(metavar="RULE")]


@rules.callback(invoke_without_command=True)
def every(ctx: typer.Context, account: Accounts = None, json: Json = False) -> None:
    """Where each rule stands: its figure, its limit, what is left, where it acts."""
    if ctx.invoked_subcommand is None:
        _list(ctx.obj, tuple(account or ()), None, json)


@rules.command("list")
def list_rules(ctx: typer.Context, account: Accounts = None, json: Json = False) -> None:
    """All rules of all guarded accounts."""
    _list(ctx.obj, tuple(account or ()), None, json)


@rules.command()
def show(ctx: typer.Context, rule: Rule, account: Accounts = None, json: Json = False) -> None:
    """One rule."""
    _list(ctx.obj, tuple(account or ()), rule, json)


def _list(place: Place, accounts: tuple[str, ...], rule: str | None, json: bool) -> None:
    answer = place.ask("rules", OfRules(accounts, rule))
    if json:
        place.page.json(answer)
        return
    if not answer["rules"]:
        why = f"cannot show {rule}: no such rule is configured" if rule else "no rule is configured"
        raise Refused(Exit.FAILED, why)
    show_rules(place.page, answer["rules"])


def show_rules(page: Page, entries: list[dict[str, Any]]) -> None:
    page.table(
        ("ACCOUNT", "RULE", "MODE", "STATE", "VALUE", "LIMIT", "USED", "LEFT", "ACTS AT"),
        (
            (
                r["account"],
                r["rule"],
                r["mode"],
                page.state(r["state"]),
                words.plain(r["value"]),
                words.plain(r["limit"]),
                words.share(r["used"]),
                words.plain(r["headroom"]),
                words.plain(r["acts_at"]),
            )
            for r in entries
        ),
        right=(4, 5, 6, 7),
    )


@rules.command()
def enable(ctx: typer.Context, rule: Rule, account: Account = None) -> None:
    """Arm a rule."""
    _outcome(ctx.obj, f"{rule} is armed", "rules.mode", DoRuleMode(rule, "armed", account))


@rules.command()
def disable(ctx: typer.Context, rule: Rule, account: Account = None) -> None:
    """Switch a rule off (loosens: may have to wait)."""
    _outcome(ctx.obj, f"{rule} is off", "rules.mode", DoRuleMode(rule, "off", account))


@rules.command()
def shadow(ctx: typer.Context, rule: Rule, account: Account = None) -> None:
    """Let a rule record what it would do, and do nothing (loosens: may have to wait)."""
    _outcome(ctx.obj, f"{rule} is in shadow", "rules.mode", DoRuleMode(rule, "shadow", account))


@rules.command("set")
def set_key(
    ctx: typer.Context,
    rule: Rule,
    assignment: Annotated[str, typer.Argument(metavar="KEY=VALUE")],
    account: Account = None,
) -> None:
    """Set one key of a rule."""
    key, sign, value = assignment.partition("=")
    if not sign or not key:
        raise Refused(Exit.USAGE, f"cannot set {assignment!r}: not KEY=VALUE", "such as limit=-400")
    _outcome(ctx.obj, f"{rule}.{key} is {value}", "rules.set", DoRuleSet(rule, key, value, account))


def _outcome(place: Place, done: str, command: str, request: DoRuleMode | DoRuleSet) -> None:
    answer = place.ask(command, request) or {}
    effective = words.parsed(answer.get("effective_at"))
    if effective is not None:
        place.page.line(
            f"waits until {words.until(effective, now())}: {done} (change {answer.get('change')})"
        )
    else:
        place.page.line(str(answer.get("text") or done))
