"""`risk-admin` walked through a pseudo-terminal: every entry runs the command it names, and says which."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from ops.cli.menu import ASK, MENU, Item
from ops.cli.table import TABLE
from supervisor.home import Home
from supervisor.protocol import Exit, Refused
from tests.ops.cli.stand_in import StandIn
from tests.ops.cli.test_help import ALL

PATIENCE_S = 30.0
PROMPT = f"0  back\r\n{ASK}"
ANSWERS = {"account": "PRAC-1", "rule": "max_contracts", "key=value": "limit=3", "backup": "riskd-1.db"}
PROGRAM = "import sys; from ops.cli.menu import run; sys.exit(run(sys.argv[1:]))"


class Terminal:
    """What somebody sees and types."""

    def __init__(self, master: int) -> None:
        self._master = master
        self.seen = ""

    def types(self, text: str) -> None:
        os.write(self._master, f"{text}\n".encode())

    def until(self, *texts: str) -> str:
        """What came up to one of the texts; the one that it was is returned."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            for text in texts:
                before, found, rest = self.seen.partition(text)
                if found:
                    self.seen, self.told = rest, before
                    return text
            assert time.monotonic() < deadline, f"never seen: {texts} in {self.seen!r}"
            if select.select([self._master], [], [], 0.1)[0]:
                with contextlib.suppress(OSError):
                    self.seen += os.read(self._master, 65536).decode()


@contextmanager
def menu(home: Home) -> Iterator[Terminal]:
    pid, master = pty.fork()
    if pid == 0:
        environment = {**os.environ, "NO_COLOR": "1", "TERM": "dumb"}
        os.execve(sys.executable, [sys.executable, "-c", PROGRAM, "--home", str(home.folder)], environment)
    try:
        yield Terminal(master)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(master)


def said(item: Item) -> str:
    """The command line that the entry makes of what is typed."""
    words = [ANSWERS[word[1:-1]] if word.startswith("{") else word for word in item.command.split()]
    return f"riskd {' '.join(words)}"


def test_every_entry_is_a_command_of_the_table() -> None:
    for _, items in MENU:
        for item in items:
            if item.command != "@keys":
                words = item.command.split()
                assert words[0] in TABLE, item
                assert words[0] in ALL or " ".join(words[:2]) in ALL, item


def test_every_entry_is_walked_through(daemon: StandIn) -> None:
    """The daemon refuses everything in one line: what counts is that each entry reaches it and comes back."""
    with menu(daemon.home) as terminal:
        for section, (title, items) in enumerate(MENU):
            terminal.until(PROMPT)
            terminal.types(str(section + 1))
            for number, item in enumerate(items):
                if said(item) == "riskd up":
                    continue  # it would start a real guard
                terminal.until(PROMPT)
                assert title in terminal.told
                terminal.types(str(number + 1))
                walk(terminal, item)
            terminal.until(PROMPT)
            terminal.types("0")
        terminal.until(PROMPT)
        terminal.types("0")


def walk(terminal: Terminal, item: Item) -> None:
    asked = [word[1:-1] for word in item.command.split() if word.startswith("{")]
    for name in asked or (["rule"] if item.command == "@keys" else []):
        terminal.until(f"{name}: ")
        terminal.types(ANSWERS[name])
    if item.command == "@keys":
        terminal.until("limit: ")
        return
    terminal.until(said(item))
    if item.command.split()[0] in ("reset",) or item.command.startswith(("account remove", "backup restore")):
        terminal.until("[y/N]")
        terminal.types("n")
        terminal.until("not done")


@pytest.mark.parametrize("typed", ["nonsense", "99"])
def test_a_choice_that_does_not_exist_is_said_and_asked_again(daemon: StandIn, typed: str) -> None:
    daemon.answers["status"] = Refused(Exit.FAILED, "no")
    with menu(daemon.home) as terminal:
        terminal.until(PROMPT)
        terminal.types(typed)
        terminal.until(f"cannot choose '{typed}': 0 to {len(MENU)}")
        terminal.until(PROMPT)
