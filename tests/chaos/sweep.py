"""`python3 ops/run.py sweep crash-points|boundaries|schedules|faults|nemesis [--seed --minutes --json]`.

No fault may change the outcome: each sweep plays many and compares with the run without. Exit 0 only when
nothing differs and every rare state that it counts was met.
"""

from __future__ import annotations

import argparse
import importlib
import json
import secrets
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# In place of this folder, whose `outcome` would be taken for the library of that name.
sys.path[0] = str(ROOT)

from tests.chaos.outcome import Asked, Swept  # noqa: E402

SWEEPS = ("crash-points", "boundaries", "schedules", "faults", "nemesis")
SHOWN = 20


def main() -> int:
    parser = argparse.ArgumentParser(prog="sweep", description=__doc__)
    parser.add_argument("sweep", choices=SWEEPS)
    parser.add_argument("--seed", type=int, default=None, help="play the same cases again")
    parser.add_argument("--minutes", type=float, default=None, help="stop after this long")
    parser.add_argument("--json", metavar="FILE")
    arguments = parser.parse_args()
    seed = secrets.randbelow(2**31) if arguments.seed is None else arguments.seed
    print(f"sweep {arguments.sweep}, seed {seed}", flush=True)
    began = time.monotonic()
    swept: Swept = importlib.import_module(f"tests.chaos.{arguments.sweep.replace('-', '_')}").run(
        Asked(seed, arguments.minutes, progress)
    )
    report(arguments.sweep, swept, time.monotonic() - began)
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(as_json(arguments.sweep, swept), indent=2))
    return 0 if swept.holds else 1


def progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def report(name: str, swept: Swept, seconds: float) -> None:
    if swept.rows:
        table(swept.rows)
    for key, value in swept.facts.items():
        print(f"  {key}: {value}")
    for key, times in swept.reached.items():
        print(f"  reached {times:>7,} x  {key}{'' if times else '   NEVER: this proves nothing'}")
    for difference in swept.differences[:SHOWN]:
        print(f"DIFFERENCE {difference.case}: {difference.text}")
    if len(swept.differences) > SHOWN:
        print(f"... and {len(swept.differences) - SHOWN} more")
    print(
        f"sweep {name}: {swept.cases:,} {swept.unit}, {len(swept.differences)} differences, "
        f"{len(swept.unseen)} rare states never met, seed {swept.seed}, {seconds:.0f} s"
    )


def table(rows: tuple[dict[str, object], ...]) -> None:
    names = list(rows[0])
    lines = [names, *([str(row.get(name, "")) for name in names] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(names))]
    for line in lines:
        print("  " + "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def as_json(name: str, swept: Swept) -> dict[str, object]:
    return {
        "schema": 1,
        "sweep": name,
        "seed": swept.seed,
        "cases": swept.cases,
        "unit": swept.unit,
        "differences": [{"case": d.case, "text": d.text} for d in swept.differences],
        "rows": list(swept.rows),
        "facts": swept.facts,
        "reached": swept.reached,
    }


if __name__ == "__main__":
    sys.exit(main())
