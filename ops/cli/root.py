"""The root command: the options that stand anywhere, and the table of commands below them."""

from __future__ import annotations

import click

from ops.cli.place import Place
from ops.cli.table import Riskd

HELP = """Keeps a futures account inside the limits its trader set in a calm hour.

riskd watches fills, positions, orders and quotes of a ProjectX gateway, judges them by your rules, and
closes, cancels and locks. It sits beside the broker, not in front of it."""


def root() -> Riskd:
    """A fresh root command; `ctx.obj` of every command below it is the Place."""
    return Riskd(
        name="riskd",
        help=HELP,
        no_args_is_help=True,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
        callback=_settle,
        params=[
            click.Option(["--home"], metavar="DIR", help="Home folder of the guard (RISKD_HOME)."),
            click.Option(
                ["--config"],
                metavar="FILE",
                multiple=True,
                help="Configuration; later files win (RISKD_CONFIG).",
            ),
            click.Option(
                ["--set", "sets"], metavar="KEY=VALUE", multiple=True, help="One key, after the files."
            ),
            click.Option(["--env-file"], metavar="FILE", help="Names for the configuration's ${NAME}."),
            click.Option(["--color"], type=click.Choice(["auto", "always", "never"]), default="auto"),
            click.Option(
                ["--version"], is_flag=True, help="Show the version.", is_eager=True, callback=_version
            ),
        ],
    )


@click.pass_context
def _settle(
    ctx: click.Context,
    home: str | None,
    config: tuple[str, ...],
    sets: tuple[str, ...],
    env_file: str | None,
    color: str,
    version: bool,
) -> None:
    ctx.obj = Place(home, config, sets, env_file, color)


def _version(ctx: click.Context, option: click.Parameter, given: bool) -> None:
    if given and not ctx.resilient_parsing:
        from ops.cli.version import own_version

        click.echo(f"riskd {own_version()}")
        ctx.exit(0)
