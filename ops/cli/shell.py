"""Completion scripts for the shells."""

from __future__ import annotations

from typing import Annotated

import typer

from supervisor.protocol import Exit, Refused


def completion(
    ctx: typer.Context,
    shell: Annotated[str, typer.Argument(metavar="bash|zsh|fish")] = "bash",
) -> None:
    """Print the completion script: source it, or put it where the shell looks for them."""
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    if kind is None:
        raise Refused(Exit.USAGE, f"cannot complete in {shell!r}", "bash, zsh or fish")
    ctx.obj.page.line(kind(ctx.find_root().command, {}, "riskd", "_RISKD_COMPLETE").source())
