"""`riskd demo`: a guarded trading day on the simulated gateway, with what happened and why.

- `acts`     what a story is made of; `script` its accounts, rules and hours
- `look`     what can be seen at one moment; `sights` what must be
- `day/`     a trading day, one file per part; `storm/` all that a connection can suffer
- `stage`    a temporary home with simulator, watchdog and daemon, which leaves nothing behind
- `play`     one act after the other; `screen` what is seen meanwhile; `report` what came of it
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from typing import Any

import msgspec

from ops.cli.page import Page
from ops.demo.acts import Played
from ops.demo.day import day
from ops.demo.interrupts import Interrupts
from ops.demo.play import play
from ops.demo.report import Report, report, show
from ops.demo.screen import Teller, teller
from ops.demo.script import FAST, FULL, Script
from ops.demo.stage import Kept, stage
from ops.demo.storm import rows as storm_rows
from ops.demo.storm import storm, strikes_of
from ops.demo.storm.faults import Strike
from supervisor.protocol import Exit, Refused

STORIES = {"day": day, "storm": storm}
INTERRUPTED = 130


def main(argv: list[str]) -> int:
    """Play the story and tell what came of it; 0 only if every expectation held."""
    asked = parser().parse_args(argv)
    tempo = FAST if asked.fast else FULL
    script = STORIES[asked.scenario](tempo)
    struck = strikes_of(tempo) if script.name == "storm" else ()
    try:
        with teller(live=not asked.fast) as telling:
            told = perform(script, telling, struck)
    except KeyboardInterrupt:
        print("interrupted: everything was ended and removed", file=sys.stderr)
        return INTERRUPTED
    page = Page()
    if asked.json:
        page.json(told)
    else:
        show(page, told)
    return Exit.GOOD if told.good else Exit.FAILED


def perform(script: Script, telling: Teller, struck: Sequence[Strike] = ()) -> Report:
    """Play a story on a stage of its own. Raises KeyboardInterrupt once all is cleared away."""
    began = time.monotonic()
    played: list[Played] = []
    restarts: list[dict[str, Any]] = []
    links: list[dict[str, Any]] = []
    trouble: str | None = None
    kept = Kept()
    with Interrupts() as interrupts, stage(script, telling.say, interrupts, kept) as made:
        try:
            made.raise_guard()
            played.extend(play(made, telling))
            restarts, links = made.restarts(), made.links()
            made.lower_guard()
        except Refused as no:
            trouble = str(no)
        faults = storm_rows(struck, played, links)
        told = report(script, played, restarts, time.monotonic() - began, trouble, faults)
        kept.good = told.good
    return msgspec.structs.replace(told, took_s=round(time.monotonic() - began, 3), logs=kept.logs)


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="riskd demo", description="A guarded trading day on the simulated gateway."
    )
    made.add_argument("--fast", action="store_true", help="within a minute, without pauses to read")
    made.add_argument("--scenario", choices=STORIES, default="day")
    made.add_argument("--json", action="store_true", help="print one object")
    return made


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
