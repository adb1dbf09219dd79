"""What is seen while a story is played: its lines as they happen, the live screen on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from ops.cli.page import Page
from ops.demo.acts import Act, Played
from ops.demo.look import Look


class Teller:
    """Tells the story line by line, on stderr."""

    def __init__(self) -> None:
        self._page = Page(out=sys.stderr)

    def say(self, text: str) -> None:
        self._page.line(text)

    def begins(self, act: Act) -> None:
        self.say(act.tells)

    def sees(self, act: Act, look: Look) -> None:
        """A moment of the act; nothing to tell of it line by line."""

    def went(self, played: Played) -> None:
        word = (
            self._page.styled("as expected", "green") if played.held else self._page.styled("NOT SEEN", "red")
        )
        named = f" ({played.act.rule})" if played.act.rule else ""
        self.say(f"    {word}{named} after {played.took_s:.1f} s")
        for expected, seen in played.missed:
            self.say(f"    expected {expected}\n    seen     {seen}")


class Screen(Teller):
    """The same lines, above the live screen of the account that the act is about."""

    def __init__(self) -> None:
        super().__init__()
        from rich.console import Console
        from rich.live import Live

        self._console = Console(stderr=True, highlight=False)
        self.live = Live(console=self._console, auto_refresh=False, transient=True)

    def say(self, text: str) -> None:
        from rich.text import Text

        self._console.print(Text.from_ansi(text))

    def sees(self, act: Act, look: Look) -> None:
        from ops.cli.screen import screen

        if look.status is not None:
            drawn = screen(look.status, act.account, act.tells, keys="Ctrl-C ends and removes everything")
            self.live.update(drawn, refresh=True)


@contextmanager
def teller(live: bool) -> Iterator[Teller]:
    """Who tells the story; `live`: there is time to watch, and perhaps a terminal."""
    if live and sys.stderr.isatty():
        screen = Screen()
        with screen.live:
            yield screen
    else:
        yield Teller()
