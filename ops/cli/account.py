"""Accounts: what the login has and which are guarded; trying one; guarding one more or one less."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ops.cli import words
from ops.cli.page import talk
from ops.cli.place import Place, confirm
from ops.cli.reading import Json
from ops.cli.table import group
from supervisor.protocol import DoReload, DoTestAccount, Exit, Nothing, Refused

account = group("List, test, add and remove accounts.")
TEST_S = 60.0
Name = Annotated[str, typer.Argument(metavar="ACCT")]


@account.command("list")
def list_accounts(ctx: typer.Context, json: Json = False) -> None:
    """Every account of the login, and which are guarded."""
    place: Place = ctx.obj
    answer = place.ask("account.list", Nothing())
    if json:
        place.page.json(answer)
        return
    place.page.table(
        ("ACCOUNT", "ID", "TRADING", "KIND", "GUARDED"),
        (
            (
                entry["name"],
                str(entry["id"]),
                {True: "allowed", False: "halted", None: "unknown"}[entry.get("can_trade")],
                {True: "simulated", False: "live", None: words.NONE}[entry.get("simulated")],
                "yes" if entry.get("guarded") else "no",
            )
            for entry in answer["accounts"]
        ),
    )


@account.command("test")
def test_account(
    ctx: typer.Context,
    name: Annotated[str | None, typer.Argument(metavar="[ACCT]")] = None,
    live: Annotated[bool, typer.Option("--live", help="Login, hubs, snapshot, first events.")] = False,
    trade: Annotated[
        bool, typer.Option("--trade", help="With --live: one micro contract, simulated accounts only.")
    ] = False,
    json: Json = False,
    yes: Annotated[bool, typer.Option("--yes", "-y")] = False,
) -> None:
    """Try an account: the configuration alone, or with --live the gateway too."""
    place: Place = ctx.obj
    if trade and not live:
        raise Refused(Exit.USAGE, "cannot trade without --live")
    if not live:
        from ops.start import read_configuration

        loaded = read_configuration(place.sources, talk)
        guarded = loaded.settings.accounts
        names = "every active account" if guarded == "all" else ", ".join(a.name for a in guarded)
        place.page.line(f"the configuration is sound; it guards {names}. --live asks the gateway")
        return
    if trade:
        confirm("One micro contract will be opened and closed. Go on?", yes=yes)
    answer = place.ask("account.test", DoTestAccount(name, trade), TEST_S)
    if json:
        place.page.json(answer)
    else:
        for step in answer["steps"]:
            place.page.line(_step(place, step))
    if not all(step["ok"] for step in answer["steps"]):
        raise Refused(Exit.FAILED, "the test failed")


def _step(place: Place, step: dict[str, Any]) -> str:
    word = place.page.state("ok" if step["ok"] else "failed")
    return f"  {word}  {step['name']}  {step.get('text', '')}".rstrip()


@account.command()
def add(ctx: typer.Context, name: Name) -> None:
    """Guard one more account of the login: into the file, then in force."""
    place: Place = ctx.obj
    _edit(place, name, adding=True)


@account.command()
def remove(ctx: typer.Context, name: Name, yes: Annotated[bool, typer.Option("--yes", "-y")] = False) -> None:
    """Guard an account no longer (loosens: may have to wait)."""
    place: Place = ctx.obj
    confirm(f"{name} will not be guarded any more. Go on?", yes=yes)
    _edit(place, name, adding=False)


def _edit(place: Place, name: str, *, adding: bool) -> None:
    """Rewrite the list of accounts in the file, check the result, have the daemon read it."""
    import os

    from config.edit import NotEditable, edited
    from config.load import load
    from config.mistakes import ConfigurationMistakes, rendered
    from ops.start import read_configuration

    loaded = read_configuration(place.sources, talk)
    guarded = loaded.settings.accounts
    if guarded == "all":
        raise Refused(
            Exit.FAILED, "cannot change accounts: all of the login are guarded", "list them instead"
        )
    names = [entry.name for entry in guarded]
    if adding == (name in names):
        raise Refused(Exit.FAILED, f"{name} is {'already' if adding else 'not'} in the list")
    if any(entry.rules for entry in guarded):
        hint = f"edit accounts in {place.files[-1]}, then riskd reload"
        raise Refused(Exit.FAILED, "cannot rewrite a list whose accounts have rules of their own", hint)
    file = place.files[-1]
    kept = [*names, name] if adding else [other for other in names if other != name]
    listed = "[" + ", ".join(f'{{name: "{entry}"}}' for entry in kept) + "]"
    before = file.read_text("utf-8")
    try:
        file.write_text(edited(before, "accounts", listed), "utf-8")
        load(place.files, place.sets, os.environ, place.sources.env_file)
    except NotEditable as error:
        raise Refused(Exit.FAILED, str(error)) from None
    except ConfigurationMistakes as error:
        file.write_text(before, "utf-8")
        talk(rendered(error.mistakes))
        raise Refused(Exit.BAD_CONFIG, f"cannot change {file}: the result would be mistaken") from None
    except OSError as error:
        raise Refused(Exit.FAILED, f"cannot write {file}: {error.strerror}") from None
    talk(f"written to {file}")
    answer = place.ask("reload", DoReload()) or {}
    place.page.line(str(answer.get("text") or f"guarded: {', '.join(kept)}"))
