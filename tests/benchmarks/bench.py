"""`python3 ops/run.py bench [latency|scale|supervisor|connection|durability|control|all] [--full --json F]`.

Every line stands beside its floor or peer from the same run, as a ratio. Nothing here is a test: figures on a
shared machine move, ratios less so. A lost or doubled close makes the run fail.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
HERE = Path(__file__).resolve().parent
GROUPS = ("latency", "scale", "supervisor", "connection", "durability", "control")


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("group", nargs="?", default="all", choices=(*GROUPS, "all"))
    parser.add_argument("--full", action="store_true", help="at least 2,000 events per side over 12 rounds")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", metavar="FILE")
    arguments = parser.parse_args()
    groups = GROUPS if arguments.group == "all" else (arguments.group,)
    machine = facts()
    print(", ".join(f"{key} {value}" for key, value in machine.items()), f"seed {arguments.seed}", sep=", ")
    rows, failed = list[dict[str, object]](), list[str]()
    for group in groups:
        found, wrong = measure(group, arguments.full, arguments.seed)
        table(group, found)
        rows += [{"group": group, **row} for row in found]
        failed += wrong
    for text in failed:
        print(f"FAILED: {text}")
    if arguments.json:
        Path(arguments.json).write_text(
            json.dumps({"schema": 1, "machine": machine, "lines": rows}, indent=2)
        )
    return 1 if failed else 0


def facts() -> dict[str, object]:
    return {
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "machine": platform.machine(),
    }


def measure(group: str, full: bool, seed: int) -> tuple[list[dict[str, object]], list[str]]:
    if group == "latency":
        return latency(full, seed)
    module = load(HERE / f"{group}.py")
    lines = module.run(full=full, seed=seed) if group == "scale" else module.run()
    return lines, [
        f"{row['wrong']} closes were lost or doubled ({row['line']})" for row in lines if row.get("wrong")
    ]


def latency(full: bool, seed: int) -> tuple[list[dict[str, object]], list[str]]:
    module = load(HERE / "latency.py")
    few, many = ((6, 12), (8, 20)) if not full else ((12, 170), (12, 200))
    runs = (
        ("pinned", many, {"pinned": True}, lambda found: module.rows(found, True)),
        ("unpinned", many, {"pinned": False}, lambda found: module.rows(found, False)),
        ("bursts, pinned", few, {"pinned": True, "quotes": module.QUOTES}, module.burst_rows),
        ("asked for its status", few, {"pinned": True, "looked_at": True}, module.status_rows),
    )
    gap_ms, found, failed = (4.0, 14.0), list[dict[str, object]](), list[str]()
    for name, (rounds, events), terms, rows in runs:
        say = f"latency, {name}: {rounds} rounds of {events} events a side"
        print(f"{say}, {gap_ms[0]:g}-{gap_ms[1]:g} ms after each close", file=sys.stderr, flush=True)
        figures = module.run(rounds=rounds, events=events, seed=seed, gap_ms=gap_ms, **terms)
        found += rows(figures)
        if figures["faults"]:
            failed.append(f"{figures['faults']} closes were lost or doubled ({say})")
    return [*found, *load(HERE / "machines.py").run()], failed


def load(path: Path):  # type: ignore[no-untyped-def]
    spec = importlib.util.spec_from_file_location(f"bench_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def table(group: str, rows: list[dict[str, object]]) -> None:
    print(f"\n{group}")
    if not rows:
        print("  no lines yet")
        return
    for row in rows:
        target, ratio = row.get("target"), row.get("ratio")
        held = "" if target is None else f"target {target}"
        if isinstance(target, int | float) and isinstance(ratio, int | float):
            held += " held" if ratio <= target else " MISSED"
        spread = f"rounds {row['spread']}" if row.get("spread") else ""
        print(
            f"  {row['line']!s:44} {row.get('value')!s:>10} {row.get('unit', '')!s:6} "
            f"{row.get('peer', '')!s:42} x{ratio}  {spread}  {held}"
        )


if __name__ == "__main__":
    sys.exit(main())
