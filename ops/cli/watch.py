"""`riskd watch`: the live screen. One `status` per look, drawn with rich; keys are shown at the bottom."""

from __future__ import annotations

import select
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from ops.cli import words
from ops.cli.place import Place
from ops.cli.reading import Accounts, named
from ops.cli.screen import screen
from ops.cli.story import told
from supervisor.answers import Status
from supervisor.protocol import AskHistory, Exit, OfAccounts, Refused

if TYPE_CHECKING:
    from rich.console import Console

DECISIONS = ("breach", "enforcement", "lockout", "unlock", "reset")
SHOWN_DECISIONS = 6
RECENT_LINES = 60
SHORTEST_S = 0.1
UNSEEN_COLUMNS = 140
"""Width where there is no terminal to ask."""


def watch(
    ctx: typer.Context,
    account: Accounts = None,
    every: Annotated[str, typer.Option("--every", metavar="1s", help="How often it looks.")] = "1s",
    once: Annotated[bool, typer.Option("--once", help="Draw it once and end.")] = False,
) -> None:
    """The live screen: how much of each limit is used, what is left, countdowns, the last decisions."""
    from rich.console import Console

    place: Place = ctx.obj
    period_s = max(_period(every), SHORTEST_S)
    wide = None if sys.stdout.isatty() else UNSEEN_COLUMNS
    console = Console(no_color=not place.page.coloured, highlight=False, width=wide)
    look = Look(place, named(account))
    if once:
        seen = look()
        console.print(screen(seen, None, "", look.decisions))
        return
    _live(look, console, period_s)


class Look:
    """One status per call; what was decided is read again only when something was."""

    def __init__(self, place: Place, request: OfAccounts) -> None:
        self._place, self._request = place, request
        self._last: object = None
        self.decisions: tuple[str, ...] = ()

    def __call__(self) -> Status:
        seen = self._place.ask_for(Status, "status", self._request)
        last = tuple((account.name, account.state, account.last_decision) for account in seen.accounts)
        if last != self._last:
            self._last, self.decisions = last, self._decided()
        return seen

    def _decided(self) -> tuple[str, ...]:
        """The newest decisions in words, the newest first."""
        answer = self._place.ask("history", AskHistory(limit=RECENT_LINES))
        names = self._request.accounts
        lines = [
            f"{words.moment(words.parsed(line['at']), answer['at'])} {line['account']} {line['kind']}: "
            f"{told(line['kind'], line, answer['at'])}"
            for line in answer["history"]
            if line["kind"] in DECISIONS and (not names or line["account"] in names)
        ]
        return tuple(reversed(lines[-SHOWN_DECISIONS:]))


def _period(every: str) -> float:
    from config.values import Unreadable, duration

    try:
        return duration(every).total_seconds()
    except Unreadable as error:
        raise Refused(Exit.USAGE, f"cannot look every {every}: {error.why}", error.hint) from None


def _live(look: Look, console: Console, period_s: float) -> None:
    from rich.live import Live

    seen: Status | None = None
    only: str | None = None
    paused, trouble = False, ""
    with Live(console=console, screen=console.is_terminal, auto_refresh=False) as live, _keys() as key:
        while True:
            if not paused:
                try:
                    seen, trouble = look(), ""
                except Refused as no:
                    if seen is None:
                        raise
                    trouble = str(no)
            if seen is not None:
                note = trouble or ("paused" if paused else "")
                live.update(screen(seen, only, note, look.decisions), refresh=True)
            match key(period_s):
                case "q":
                    return
                case "p":
                    paused = not paused
                case "n":
                    only = _next(seen, only)
                case "a":
                    only = None
                case _:
                    continue


def _next(seen: Status | None, only: str | None) -> str | None:
    names = [account.name for account in seen.accounts] if seen else []
    if not names:
        return None
    return names[(names.index(only) + 1) % len(names)] if only in names else names[0]


class _Keys:
    """One key at a time, waited for at most so long."""

    def __init__(self, readable: bool) -> None:
        self._readable = readable

    def __call__(self, wait_s: float) -> str:
        if not self._readable:
            time.sleep(wait_s)
            return ""
        return sys.stdin.read(1).lower() if select.select([sys.stdin], [], [], wait_s)[0] else ""


@contextmanager
def _keys() -> Iterator[_Keys]:
    """Keys as they are pressed, where there is a terminal that gives them."""
    try:
        import termios
        import tty

        before = termios.tcgetattr(sys.stdin)
    except (ImportError, OSError, ValueError, AttributeError):
        yield _Keys(readable=False)
        return
    except termios.error:
        yield _Keys(readable=False)
        return
    try:
        tty.setcbreak(sys.stdin)
        yield _Keys(readable=True)
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
