"""The parts of the daemon: which run, since when, how busy; restarting one; breaking one on purpose."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ops.cli import words
from ops.cli.page import Page, talk
from ops.cli.place import Place
from ops.cli.reading import Json
from ops.cli.table import group
from supervisor.protocol import AskActor, DoChaos, Exit, Nothing, Refused

actors = group("The parts of the daemon and how they run.")
chaos = group("Break something on purpose: refused unless chaos.enabled and the gateway is loopback.")
Id = Annotated[str, typer.Argument(metavar="ID", help="As actors tree shows it.")]


@actors.command()
def tree(ctx: typer.Context, json: Json = False) -> None:
    """Every actor: state, restarts, waiting messages."""
    place: Place = ctx.obj
    answer = place.ask("actors.tree", Nothing())
    if json:
        place.page.json(answer)
        return
    place.page.table(
        ("ACTOR", "STATE", "EPOCH", "RESTARTS", "WAITING", "OLDEST", "BUSY"),
        list(_rows(place.page, answer, 0)),
        right=(2, 3, 4, 5, 6),
    )


def _rows(page: Page, node: dict[str, Any], depth: int) -> list[tuple[str, ...]]:
    row = (
        "  " * depth + str(node["id"]),
        page.state(str(node["state"])),
        str(node["epoch"]),
        str(node["restarts"]),
        str(node["mailbox"]),
        _ms(node["oldest_ms"]),
        _ms(node["busy_ms"]),
    )
    return [row, *(line for child in node.get("children", ()) for line in _rows(page, child, depth + 1))]


def _ms(value: float) -> str:
    return words.NONE if not value else f"{value:.1f} ms"


@actors.command()
def show(ctx: typer.Context, actor: Id, json: Json = False) -> None:
    """One actor."""
    place: Place = ctx.obj
    answer = place.ask("actors.show", AskActor(actor))
    if json:
        place.page.json(answer)
        return
    for name, value in answer.items():
        if name not in ("children", "schema", "at"):
            place.page.line(f"{name}: {words.plain(value)}")


@actors.command("restart")
def restart_actor(ctx: typer.Context, actor: Id) -> None:
    """Replace one actor by a fresh one; what waits for it is kept."""
    ctx.obj.ask("actors.restart", AskActor(actor))
    ctx.obj.page.line(f"{actor} restarted")


@chaos.command()
def kill(ctx: typer.Context, actor: Id) -> None:
    """Kill an actor's thread of work."""
    _broken(ctx.obj, DoChaos("kill", actor), f"{actor} killed")


@chaos.command()
def crash(ctx: typer.Context, actor: Id) -> None:
    """Have an actor raise in its next message."""
    _broken(ctx.obj, DoChaos("crash", actor), f"{actor} crashed")


@chaos.command()
def hang(
    ctx: typer.Context,
    actor: Id,
    for_: Annotated[str, typer.Option("--for", metavar="5s")] = "5s",
) -> None:
    """Have an actor hang in its next message."""
    from config.values import Unreadable, duration

    try:
        seconds = duration(for_).total_seconds()
    except Unreadable as error:
        raise Refused(Exit.USAGE, f"cannot hang for {for_}: {error.why}", error.hint) from None
    _broken(ctx.obj, DoChaos("hang", actor, seconds), f"{actor} hangs for {words.span(seconds)}")


@chaos.command("drop-link")
def drop_link(ctx: typer.Context) -> None:
    """Close both hubs as if the network had gone."""
    _broken(ctx.obj, DoChaos("drop-link"), "link dropped")


@chaos.command("run")
def run_chaos(
    ctx: typer.Context,
    seed: Annotated[int | None, typer.Option("--seed", metavar="N", help="Break the same again.")] = None,
    minutes: Annotated[float, typer.Option("--minutes", metavar="M")] = 1.0,
) -> None:
    """Break one thing after another in the running guard, and compare all who know the outcome; exit 1
    where they differ. With a simulator of its own somebody trades meanwhile."""
    import secrets

    from ops.chaos.home import over
    from ops.chaos.table import lines

    place: Place = ctx.obj
    chosen = secrets.randbelow(2**31) if seed is None else seed
    talk(f"chaos run, seed {chosen}, {minutes:g} minutes")
    ended = over(place.home, place.ask, chosen, minutes * 60, talk)
    for line in lines(ended):
        place.page.line(line)
    if ended.differences:
        raise typer.Exit(Exit.FAILED)


def _broken(place: Place, request: DoChaos, done: str) -> None:
    place.ask("chaos", request)
    place.page.line(done)
