"""`riskd logs`: the daemon's log files, read by the daemon."""

from __future__ import annotations

import time
from typing import Annotated, Any, Literal

import typer

from ops.cli import words
from ops.cli.page import Page
from ops.cli.place import Place
from ops.cli.reading import Json
from ops.cli.story import Since, instant
from supervisor.protocol import AskLogs

FOLLOW_S = 0.5
LEVEL_STYLE = {"warning": "yellow", "error": "red", "critical": "red", "debug": "dim"}


def logs(
    ctx: typer.Context,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as lines are written.")] = False,
    since: Since = None,
    level: Annotated[
        Literal["debug", "info", "warning", "error", "critical"] | None,
        typer.Option("--level", help="This level and above."),
    ] = None,
    file: Annotated[Literal["riskd", "enforcement", "errors"], typer.Option("--file")] = "riskd",
    limit: Annotated[int, typer.Option("--limit", "-n", metavar="N", help="The newest N lines.")] = 200,
    json: Json = False,
) -> None:
    """The daemon's log, oldest line first."""
    place: Place = ctx.obj
    asked = AskLogs(file, instant(place, since), level, None, limit)
    while True:
        answer = place.ask("logs", asked)
        for line in answer["logs"]:
            if json:
                place.page.json(line)
            else:
                place.page.line(log_line(place.page, line, answer["at"]))
        if not follow:
            return
        asked = AskLogs(file, None, level, answer["next"], limit)
        time.sleep(FOLLOW_S)


def log_line(page: Page, line: dict[str, Any], now: Any) -> str:
    """One record: time, level, event, then its values."""
    level = str(line.get("level", "info"))
    at = words.moment(words.parsed(line.get("at")), now)
    values = " ".join(f"{k}={v}" for k, v in line.items() if k not in ("at", "level", "event"))
    word = page.styled(level.upper().ljust(8), LEVEL_STYLE.get(level))
    return f"{at} {word} {line.get('event')} {values}".rstrip()
