"""`riskd rules`: where each rule stands, and (admin) switching and setting one."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import typer

from ops.cli import words
from ops.cli.page import Page, talk
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
    show_rules(place.page, answer["rules"], answer["at"])


def show_rules(page: Page, entries: list[dict[str, Any]], at: datetime) -> None:
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
                words.acts_at(r["acts_at"], at),
            )
            for r in entries
        ),
        right=(4, 5, 6, 7),
    )


@rules.command()
def enable(ctx: typer.Context, rule: Rule, account: Account = None) -> None:
    """Arm a rule."""
    _switched(ctx.obj, f"{rule} is armed", DoRuleMode(rule, "armed", account))


@rules.command()
def disable(ctx: typer.Context, rule: Rule, account: Account = None) -> None:
    """Switch a rule off (loosens: may have to wait)."""
    _switched(ctx.obj, f"{rule} is off", DoRuleMode(rule, "off", account))


@rules.command()
def shadow(ctx: typer.Context, rule: Rule, account: Account = None) -> None:
    """Let a rule record what it would do, and do nothing (loosens: may have to wait)."""
    _switched(ctx.obj, f"{rule} is in shadow", DoRuleMode(rule, "shadow", account))


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
    _write(ctx.obj, account, f"{rule}.{key}", value)


def _switched(place: Place, done: str, request: DoRuleMode) -> None:
    _outcome(place, done, "rules.mode", request)
    _write(place, request.account, f"{request.rule}.mode", request.mode)


def _write(place: Place, account: str | None, key: str, value: str) -> None:
    """Put the change into the file as well, where the caller may; the store has it either way."""
    from config.edit import NotEditable, edited

    file = place.files[-1]
    dotted = f"accounts.{account}.rules.{key}" if account else f"rules.{key}"
    try:
        fresh = edited(file.read_text("utf-8"), dotted, value)
        file.write_text(fresh, "utf-8")
    except (OSError, NotEditable) as error:
        talk(f"{file} is not changed ({error}); riskd config diff shows the difference")
    else:
        talk(f"written to {file}")


def _outcome(place: Place, done: str, command: str, request: DoRuleMode | DoRuleSet) -> None:
    answer = place.ask(command, request) or {}
    effective = words.parsed(answer.get("effective_at"))
    if effective is not None:
        place.page.line(
            f"waits until {words.until(effective, now())}: {done} (change {answer.get('change')})"
        )
    else:
        place.page.line(str(answer.get("text") or done))
