"""The simulated gateway and the demonstration: both are programs of their own, started from here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

OWN = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}
Args = Annotated[list[str] | None, typer.Argument(metavar="ARGS")]


def _simulator(ctx: typer.Context, args: Args = None) -> None:
    """The simulated gateway on 127.0.0.1: --port, --scenario, --speed, --seed, --rate-limit.

    An operation in their place: what a person does in the broker's screen, at the one that `up` started.

    Example: riskd simulator order account=PRAC-V2-1001 contract=MNQ side=buy size=2
    """
    if args and not args[0].startswith("-"):
        from ops.cli.broker import operate

        operate(ctx.obj, args[0], tuple(args[1:]))
        return
    from ops.simulator.__main__ import main

    raise typer.Exit(main(list(args or ())))


def _demo(args: Args = None) -> None:
    """A guarded trading day on the simulated gateway: --fast, --scenario day|storm, --json."""
    raise typer.Exit(_demo_main(args or ()))


def _demo_main(args: Sequence[str]) -> int:
    from ops.demo import main

    return int(main(list(args)) or 0)


simulator = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
simulator.command("simulator", context_settings=OWN)(_simulator)
demo = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
demo.command("demo", context_settings=OWN)(_demo)
