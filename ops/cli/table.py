"""Every command of `riskd`: its name, the module that holds it, and one line for `riskd --help`.

A module is imported when its command is called, so that `status` never waits for what `watch` needs.
"""

from __future__ import annotations

import importlib
from typing import NamedTuple

import click
import typer
from typer.core import TyperGroup

from ops.cli.examples import EXAMPLES


class Entry(NamedTuple):
    module: str
    name: str
    """The function (a command) or Typer (a group) in the module."""
    panel: str
    help: str


ANYWHERE = "Anywhere on the line: --home, --config, --set, --env-file, --color."
READ, SAFE, ADMIN, TRY = "Reading", "Towards safety", "Admin", "Trying it"

TABLE: dict[str, Entry] = {
    "status": Entry(
        "reading", "status", READ, "Is it guarding? Limits, lockouts, last decision at one glance"
    ),
    "watch": Entry("watch", "watch", READ, "The live screen"),
    "positions": Entry("reading", "positions", READ, "Open positions, what they are worth, protected or not"),
    "orders": Entry("reading", "orders", READ, "Working orders"),
    "lockouts": Entry("reading", "lockouts", READ, "What is locked, why, and until when"),
    "rules": Entry("rules", "rules", READ, "Where each rule stands; admin: switch and set them"),
    "hours": Entry("reading", "hours", READ, "Trading day, sessions and holidays"),
    "why": Entry("story", "why", READ, "Why something was done, from the event to the confirmation"),
    "history": Entry("story", "history", READ, "What happened, line by line"),
    "logs": Entry("logs", "logs", READ, "The daemon's log"),
    "report": Entry("report", "report", READ, "A day, week or month in figures"),
    "metrics": Entry("metrics", "metrics", READ, "Every count and gauge, as Prometheus reads them"),
    "version": Entry("reading", "version", READ, "The version of riskd and of the running daemon"),
    "completion": Entry("shell", "completion", READ, "Print the completion script for a shell"),
    "up": Entry("lifecycle", "up", SAFE, "Start the guard; returns when it is guarding"),
    "lock": Entry("acting", "lock", SAFE, "Lock an account against new risk"),
    "flatten": Entry("acting", "flatten", SAFE, "Close all positions and cancel all orders of an account"),
    "panic": Entry("acting", "panic", SAFE, "Flatten and lock every account"),
    "down": Entry("lifecycle", "down", ADMIN, "End the guard"),
    "restart": Entry("lifecycle", "restart", ADMIN, "Replace the daemon by a fresh one; leaves safe mode"),
    "reload": Entry("lifecycle", "reload", ADMIN, "Read the configuration again"),
    "unlock": Entry("admin", "unlock", ADMIN, "End a lockout"),
    "reset": Entry("admin", "reset", ADMIN, "Start an account's figures of the day from zero"),
    "config": Entry("config", "config", ADMIN, "Make, check, show and compare the configuration"),
    "account": Entry("account", "account", ADMIN, "List, test, add and remove accounts"),
    "secret": Entry("secret", "secret", ADMIN, "Set the admin secret"),
    "actors": Entry("actors", "actors", ADMIN, "The parts of the daemon and how they run"),
    "chaos": Entry("actors", "chaos", ADMIN, "Break something on purpose (loopback gateways only)"),
    "alerts": Entry("admin", "alerts", ADMIN, "Try the alert channels"),
    "doctor": Entry(
        "doctor", "doctor", ADMIN, "Check this machine and this home, with a cure for each fault"
    ),
    "service": Entry("service", "service", ADMIN, "The guard as a service of the machine"),
    "audit": Entry("keep", "audit", ADMIN, "Verify and show the audit chain"),
    "backup": Entry("keep", "backup", ADMIN, "Make, list and restore backups of the store"),
    "export": Entry("keep", "export", ADMIN, "Write logs, history, trades or the audit to a file"),
    "simulator": Entry("trying", "simulator", TRY, "The simulated gateway"),
    "demo": Entry("trying", "demo", TRY, "A guarded trading day on the simulated gateway"),
}


class Riskd(TyperGroup):
    """The root: finds commands in `TABLE` and imports only the one that is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(TABLE)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = TABLE.get(cmd_name)
        if entry is None:
            return None
        found = getattr(importlib.import_module(f"ops.cli.{entry.module}"), entry.name)
        return as_click(cmd_name, found)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in TABLE and not args[0].startswith("-"):
            from config.values import close_match

            near = close_match(args[0], TABLE)
            meant = f" Did you mean {near}?" if near else " riskd --help lists them."
            raise click.UsageError(f"cannot run {args[0]!r}: no such command.{meant}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for panel in (READ, SAFE, ADMIN, TRY):
            with formatter.section(panel):
                formatter.write_dl([(n, entry.help) for n, entry in TABLE.items() if entry.panel == panel])


def as_click(name: str, found: object) -> click.Command:
    """The click command behind a function or a Typer of one of our modules."""
    if isinstance(found, typer.Typer):
        made = typer.main.get_command(found)
    else:
        app = group()
        app.command(name)(found)  # type: ignore[type-var]  # a function of a command module
        made = typer.main.get_command(app)
    made.name = name
    _teach(made, name)
    return made


def _teach(command: click.Command, path: str) -> None:
    """An example below the help, and what may stand anywhere; of a group, below each of its commands."""
    example = EXAMPLES.get(path)
    shown = [f"Example: {example}"] if example else []
    command.epilog = "\n\n".join(
        (*shown, "Anywhere on the line: --home, --config, --set, --env-file, --color.")
    )
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            _teach(below, f"{path} {name}")


def group(help: str | None = None) -> typer.Typer:  # noqa: A002 - typer's own word
    """A group of commands in our manner."""
    return typer.Typer(
        help=help,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        no_args_is_help=True,
    )
