"""`riskd metrics`: one scrape, over the control socket."""

from __future__ import annotations

import typer

from ops.cli.place import Place
from supervisor.protocol import Nothing


def metrics(ctx: typer.Context) -> None:
    """Everything that is counted, as Prometheus reads it; metrics.port serves the same over HTTP."""
    place: Place = ctx.obj
    place.page.line(str(place.ask("metrics", Nothing())["text"]).rstrip())
