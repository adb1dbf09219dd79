"""The simulated gateway and the demonstration: both are programs of their own, started from here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

OWN = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}
Args = Annotated[list[str] | None, typer.Argument(metavar="ARGS")]


def _simulator(args: Args = None) -> None:
    """The simulated gateway on 127.0.0.1: --port, --scenario, --speed, --seed, --rate-limit."""
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
