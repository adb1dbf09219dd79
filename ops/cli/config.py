"""The configuration: make a first one, check it, show what is in force, compare, take over an older one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ops.cli.making import import_older, init
from ops.cli.page import talk
from ops.cli.place import Place, now
from ops.cli.reading import Json
from ops.cli.table import group
from supervisor.protocol import AskConfig, DoCancelChange, Exit, Nothing

config = group("Make, check, show and compare the configuration.")


@config.command()
def check(
    ctx: typer.Context,
    file: Annotated[list[Path] | None, typer.Argument(metavar="[FILE]...")] = None,
    json: Json = False,
) -> None:
    """Report every mistake in the configuration at once, with its line. Exit 78 where there is one."""
    import os

    from config.load import load
    from config.mistakes import ConfigurationMistakes, rendered

    place: Place = ctx.obj
    files = tuple(file or place.files)
    env_file = Path(place.env_file) if place.env_file else None
    mistakes: tuple[Any, ...] = ()
    warnings: tuple[Any, ...] = ()
    try:
        warnings = load(files, place.sets, os.environ, env_file).warnings
    except ConfigurationMistakes as error:
        mistakes = error.mistakes
    if json:
        place.page.json(
            {"schema": 1, "at": now(), "mistakes": _plain(mistakes), "warnings": _plain(warnings)}
        )
    elif mistakes:
        place.page.line(rendered(mistakes))
    else:
        for warning in warnings:
            talk(f"warning: {warning}")
        place.page.line(f"{', '.join(map(str, files))}: no mistake")
    if mistakes:
        raise typer.Exit(Exit.BAD_CONFIG)


def _plain(mistakes: tuple[Any, ...]) -> list[dict[str, object]]:
    fields = ("file", "line", "column", "key", "text", "hint")
    return [{field: getattr(mistake, field) for field in fields} for mistake in mistakes]


@config.command()
def show(
    ctx: typer.Context,
    effective: Annotated[
        bool, typer.Option("--effective", help="What the daemon has in force, defaults filled in.")
    ] = False,
    origin: Annotated[bool, typer.Option("--origin", help="Where each value comes from.")] = False,
    json: Json = False,
) -> None:
    """The configuration as the files give it; with --effective what the daemon has in force."""
    place: Place = ctx.obj
    shown = place.ask("config.show", AskConfig(origin)) if effective else _of_files(place)
    values = shown["config"]
    if json:
        place.page.json({"schema": 1, "at": now(), **shown})
        return
    origins = shown.get("origins") or {}
    for key, value in _leaves(values, ""):
        note = f"  # {origins.get(key, 'default')}" if origin else ""
        place.page.line(f"{key}: {_text(value)}{place.page.styled(note, 'dim')}")


def _of_files(place: Place) -> dict[str, Any]:
    import msgspec

    from config.canonical import canonical
    from ops.start import read_configuration

    loaded = read_configuration(place.sources, talk)
    return {"config": msgspec.json.decode(canonical(loaded.settings)), "origins": dict(loaded.origins)}


def _leaves(value: Any, key: str) -> list[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        return [
            leaf for name, part in value.items() for leaf in _leaves(part, f"{key}.{name}" if key else name)
        ]
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return [leaf for number, part in enumerate(value) for leaf in _leaves(part, f"{key}.{number}")]
    return [(key, value)]


def _text(value: Any) -> str:
    import msgspec

    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


@config.command()
def diff(ctx: typer.Context, json: Json = False) -> None:
    """Where the file differs from what is in force, and what waits."""
    place: Place = ctx.obj
    answer = place.ask("config.diff", Nothing())
    if json:
        place.page.json(answer)
        return
    for mistake in answer.get("mistakes", ()):
        place.page.line(f"{mistake['file']}:{mistake['line']}:{mistake['column']}: {mistake['text']}")
    for entry in answer.get("differences", ()):
        place.page.line(f"{entry['key']}: in force {_text(entry['in_force'])}, file {_text(entry['file'])}")
    for pending in answer.get("pending", ()):
        place.page.line(f"waits until {pending['effective_at']}: {pending['change']} ({pending['id']})")
    if not any(answer.get(part) for part in ("mistakes", "differences", "pending")):
        place.page.line("the file is what is in force")
    if answer.get("mistakes"):
        raise typer.Exit(Exit.BAD_CONFIG)


@config.command()
def cancel(ctx: typer.Context, change: Annotated[str, typer.Argument(metavar="CHANGE")]) -> None:
    """Withdraw a change that waits for its time."""
    answer = ctx.obj.ask("config.cancel", DoCancelChange(change)) or {}
    ctx.obj.page.line(str(answer.get("text") or f"{change} is withdrawn"))


config.command("init")(init)
config.command("import")(import_older)
