"""`riskd report`: a day, week or month in figures and as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from ops.cli import words
from ops.cli.acting import One
from ops.cli.page import Page, talk
from ops.cli.place import Place
from ops.cli.reading import Json
from supervisor.protocol import AskReport, Exit, Refused

SHOWN_ACTS = 20


def report(
    ctx: typer.Context,
    period: Annotated[Literal["day", "week", "month"], typer.Argument()] = "day",
    account: One = None,
    picture: Annotated[
        Path | None, typer.Option("--picture", metavar="FILE.svg", help="Draw it as well.")
    ] = None,
    json: Json = False,
) -> None:
    """Trading days in figures: P&L, running total, drawdown, winners, what each rule did.

    Only what is stored counts; a day that was not guarded is marked as a gap.
    """
    place: Place = ctx.obj
    if picture is not None and picture.suffix != ".svg":
        raise Refused(Exit.USAGE, f"cannot draw {picture}: only .svg is drawn", "name it FILE.svg")
    answer = place.ask("report", AskReport(period, account))
    if json:
        place.page.json(answer)
    else:
        show(place.page, answer)
    if picture is not None:
        _draw(picture, answer)


def show(page: Page, answer: dict[str, Any]) -> None:
    if not answer["days"]:
        page.line("no trading day is recorded in this period")
        return
    _days(page, answer["days"])
    page.line()
    _totals(page, answer["totals"])
    page.line()
    _rules(page, answer["rules"])


def _days(page: Page, days: list[dict[str, Any]]) -> None:
    head = (
        "DAY",
        "ACCOUNT",
        "P&L",
        "TRADES",
        "WON",
        "LOST",
        "WIN RATE",
        "FEES",
        "RUNNING",
        "PEAK",
        "DRAWDOWN",
    )
    page.table(head, map(_day, days), right=range(2, len(head)))


def _day(day: dict[str, Any]) -> tuple[str, ...]:
    if day["gap"]:
        return (str(day["day"]), day["account"], "not guarded", *[words.NONE] * 8)
    return (
        str(day["day"]),
        day["account"],
        words.money(day["realized"]),
        str(day["trades"]),
        str(day["wins"]),
        str(day["losses"]),
        words.share(day["win_rate"]),
        words.money(day["fees"]),
        words.money(day["running"]),
        words.money(day["peak"]),
        words.money(day["drawdown"]),
    )


def _totals(page: Page, totals: list[dict[str, Any]]) -> None:
    for total in totals:
        page.line(
            f"{total['account']}: {words.money(total['realized'])} in {words.count(total['days'], 'day')},"
            f" {words.count(total['trades'], 'trade')}, win rate {words.share(total['win_rate'])}"
            f" (average win {words.money(total['average_win'])}, loss {words.money(total['average_loss'])}),"
            f" deepest drawdown {words.money(total['drawdown'])} from a peak of {words.money(total['peak'])}"
        )


def _rules(page: Page, rules: list[dict[str, Any]]) -> None:
    if not rules:
        page.line("no rule had to act")
        return
    head = ("ACCOUNT", "RULE", "BREACHES", "LOCKOUTS", "IN SHADOW")
    page.table(
        head,
        (
            (r["account"], r["rule"], str(r["breaches"]), str(r["lockouts"]), str(r["in_shadow"]))
            for r in rules
        ),
        right=(2, 3, 4),
    )


def _draw(picture: Path, answer: dict[str, Any]) -> None:
    from ops.cli import chart

    try:
        picture.write_text(chart.drawn(answer), "utf-8")
    except OSError as error:
        raise Refused(Exit.FAILED, f"cannot write {picture}: {error.strerror}") from None
    talk(f"drawn to {picture}")
