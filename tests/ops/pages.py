"""Commands that a document shows, run as its reader would type them, and held to what is said of their end.

A block fenced as `sh` is run line by line, in its order. `# exit 6` tells an exit code that is not 0,
`# untested: WHY` a line that is left out. A `text` block is what the line before it prints, whatever the
time, the contract's month and the milliseconds are.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from ops.cli.table import READ, TABLE
from tests.ops.cli.stand_in import Ran

BLOCK = re.compile(r"^```(sh|text)\n(.*?)^```", re.MULTILINE | re.DOTALL)
PROGRAM = re.compile(r"(?:python3 ops/run\.py|riskd) +")
OTHERS = re.compile(r"export |risk-status$")
"""Done otherwise by who runs the page: the environment it is run in, and another name for a command."""
VARYING = re.compile(
    r"\d\d:\d\d:\d\d( [A-Z]{3,4})?|\d{4}-\d\d-\d\d|[HMUZ]\d\d\b|\d+ ms|\(in [^)]*\)|after \d+ rounds?"
)
PATIENCE_S = 20.0

type Run = Callable[[list[str]], Ran]


class Line(NamedTuple):
    text: str
    """Without the program's name and the comment."""
    ours: bool = True
    """Whether it is a command of our program, or one of the shell."""
    exit: int = 0
    untested: str = ""
    """Why the tests leave it out."""
    printed: str = ""
    """What the page says it prints, where it does."""

    @property
    def words(self) -> list[str]:
        return shlex.split(self.text)

    @property
    def only_reads(self) -> bool:
        """Whether it may be repeated until what was done before it has arrived."""
        entry = TABLE.get(self.words[0])
        return self.ours and entry is not None and entry.panel == READ and self.words[:2] not in ADMINS


ADMINS = [["rules", deed] for deed in ("enable", "disable", "shadow", "set")]


def lines(page: str) -> list[Line]:
    """The commands of our program in the blocks to run, in their order."""
    found: list[Line] = []
    for kind, body in BLOCK.findall(page):
        if kind == "sh":
            found += filter(None, map(_line, body.splitlines()))
        else:
            found[-1] = found[-1]._replace(printed=body)
    return found


def _line(written: str) -> Line | None:
    command, _, comment = written.partition(" #")
    if not command.strip() or OTHERS.match(command.strip()):
        return None
    program = PROGRAM.match(command)
    code = re.match(r" exit (\d+)", comment)
    why = re.match(r" untested: (.+)", comment)
    return Line(
        command[program.end() if program else 0 :].strip(),
        program is not None,
        int(code.group(1)) if code else 0,
        why.group(1) if why else "",
    )


def play(line: Line, run: Run) -> None:
    """Run a line and hold it to its page; one that only reads is given time to see what came before it."""
    deadline = time.monotonic() + (PATIENCE_S if line.only_reads else 0.0)
    while wrong := _wrong(line, ran := run(line.words) if line.ours else _by_shell(line.text)):
        assert time.monotonic() < deadline, f"riskd {line.text}: {wrong}\n{ran.out}{ran.err}"
        time.sleep(0.05)


def _by_shell(command: str) -> Ran:
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=20, check=False)
    return Ran(done.returncode, done.stdout, done.stderr)


def _wrong(line: Line, ran: Ran) -> str:
    if ran.code != line.exit:
        return f"exit {ran.code}, the page says {line.exit}"
    if "Traceback" in ran.err:
        return "a traceback"
    if line.printed and masked(ran.out) != masked(line.printed):
        return f"the page shows\n{line.printed}"
    return ""


def masked(text: str) -> str:
    """What stays the same from run to run, however it is wrapped."""
    return VARYING.sub("~", " ".join(text.split()))


def played(page: str, run: Run) -> Iterator[Line]:
    """Every line of a page that can be run, once it was as the page says."""
    for line in lines(page):
        if not line.untested:
            play(line, run)
            yield line
