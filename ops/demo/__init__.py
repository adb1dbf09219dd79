"""`riskd demo`: a guarded trading day on the simulated gateway, with what happened and why.

- `acts`     what a story is made of; `script` what it needs: accounts, rules, hours
- `day/`     the story, one file per part
- `stage`    a temporary home with simulator, watchdog and daemon, which leaves nothing behind
- `play`     one act after the other, each until what must be seen is seen; `report` what came of it
"""

from __future__ import annotations

import argparse
import sys

from ops.cli.page import talk
from ops.demo.acts import Act, Played
from ops.demo.day import day
from ops.demo.play import play
from ops.demo.script import FAST, FULL
from ops.demo.stage import stage
from supervisor.protocol import Refused


def main(argv: list[str]) -> int:
    """Play the story; 0 only if every expectation held."""
    asked = parser().parse_args(argv)
    script = day(FAST if asked.fast else FULL)
    played: list[Played] = []
    try:
        with stage(script, talk) as (made, kept):
            made.raise_guard()
            for told in play(made):
                if isinstance(told, Act):
                    talk(told.tells)
                else:
                    played.append(told)
                    talk(f"   {'ok' if told.held else 'NOT SEEN'}  {told.took_s:.2f} s")
                    for expected, seen in told.missed:
                        talk(f"   expected {expected}\n   seen     {seen}")
            made.lower_guard()
            kept.good = all(each.held for each in played)
    except Refused as no:
        talk(str(no))
        return int(no.code)
    if kept.logs:
        talk(f"the logs are kept in {kept.logs}")
    return 0 if kept.good else 1


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="riskd demo", description=__doc__)
    made.add_argument("--fast", action="store_true", help="within a minute, without pauses to read")
    made.add_argument("--scenario", choices=("day", "storm"), default="day")
    made.add_argument("--json", action="store_true", help="print one object")
    return made


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
