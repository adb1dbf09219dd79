"""What the supervisor promises, by identifier, and whether a test holds it to that.

    python3 ops/run.py catalogue [--json]

A test shows an entry by its name: `test_S05_...` shows S05. Tier A equals OTP, tier C goes beyond it; where
the two contradict, C holds, and the A entry is shown in C's sense (marked *). Tier B, live reconfiguration of
a running level, is not built: a changed level is replaced by a new one. Exit 0 only if all else passes.
"""

from __future__ import annotations

import contextlib
import json
import re
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PLACES = [*sorted(HERE.glob("test_*.py")), HERE.parent / "actors" / "test_worker.py"]
NAMES = re.compile(r"(?<=_)[SPMRGITXNLC]\d\d(?=_)")

ENTRIES = {
    "S01": "empty level starts and stops",
    "S02": "everything ignored leaves nothing behind",
    "S03": "a start that returns nonsense is named",
    "S04": "a start that raises carries its cause",
    "S05": "start order is spec order, each when the one before is ready",
    "S06": "added child that ignores keeps its spec",
    "S07": "temporary child that ignores at first leaves no spec",
    "S08": "temporary child that ignores when added leaves no spec",
    "S09": "pool member that ignores leaves no entry",
    "S10": "added child that fails leaves nothing",
    "S11": "pool member that fails leaves nothing",
    "S12": "a failing first start undoes the others in reverse",
    "S13": "a manual restart that fails is not retried",
    "S14": "start info is passed through",
    "S15": "defaults",
    "S16": "bad specs have errors of their own",
    "S17": "legal combinations accepted, illegal refused",
    "S18": "double ids, pools without one template",
    "S19": "bad flags have errors of their own",
    "P01": "infinite shutdown waits",
    "P02": "a stuck child is killed at its timeout",
    "P03": "brutal kill without last words",
    "P04": "a pool stops in parallel",
    "P05": "a brutal pool is killed at once",
    "P06": "own exits during the stop",
    "P07": "odd last words in a pool",
    "P08": "stop is the reverse of start",
    "P09": "a child that does not answer cannot hang the level",
    "P10": "stop gets through a loop of failing starts",
    "M01": "start of what runs",
    "M02": "terminate keeps the spec, may be repeated",
    "M03": "start and restart of what is present",
    "M04": "delete",
    "M05": "a dead level answers at once",
    "M06": "pool members by their own name only",
    "M07": "no restart or delete in pools",
    "M08": "requests during a restart",
    "R01": "permanent x every reason",
    "R02": "transient, clean end",
    "R03": "transient, failure",
    "R04": "temporary x every reason",
    "R05": "start arguments of temporary children are not kept",
    "G01": "one_for_one",
    "G02": "one_for_all",
    "G03": "rest_for_one",
    "G04": "pool",
    "G05": "temporary bystander",
    "G06": "a sibling fails in one_for_all",
    "G07": "a sibling fails in rest_for_one",
    "G08": "tree of levels *",
    "I01": "below the limit",
    "I02": "over the limit, each strategy *",
    "I03": "failed starts alone *",
    "I04": "intensity zero",
    "I05": "edge of the window",
    "I06": "nested budgets multiply",
    "I07": "transient level escalates *",
    "T01": "requests answered between failing starts *",
    "T02": "terminate while restarting *",
    "T03": "states during a failing rest_for_one *",
    "T04": "counts while restarting *",
    "X01": "insignificant children never end the level",
    "X02": "any, temporary",
    "X03": "any, transient",
    "X04": "all",
    "X05": "pools",
    "X06": "bystanders",
    "X07": "chain of levels",
    "N01": "counts of large pools",
    "N02": "killed members vanish at once",
    "N03": "specs can be read",
    "N04": "a name means the replacement",
    "N05": "work is proportional",
    "N06": "structured reports",
    "L01": "exactly one Down per watch",
    "L02": "watching nobody",
    "L03": "unwatch",
    "L04": "an asker gets the reason",
    "L05": "asking a stopped actor",
    "L06": "ask timeout, late reply discarded",
    "L07": "asking oneself",
    "L08": "failing initialisation reaches the starter",
    "L09": "failing stop hook does not hide the exit",
    "L10": "crash on ask is a crash",
    "C01": "the mailbox survives",
    "C02": "poison messages",
    "C03": "at least once",
    "C04": "back-off, failed starts apart from crashes",
    "C05": "first restart immediate",
    "C06": "escalation is not clean",
    "C07": "hang",
    "C08": "fence",
    "C09": "zombie cap",
    "C10": "stops do not block",
    "C11": "vanished threads",
    "C12": "BaseException ends one actor",
    "C13": "telling an actor that is down",
    "C14": "an ask always resolves",
    "C15": "bounded mailbox",
    "C16": "priority",
    "C17": "timers die with their incarnation",
    "C18": "restart storms are bounded in the log",
    "C19": "restart during shutdown and the reverse",
    "C20": "uncovered time is measured",
}
OPTIONAL = {
    "B01": "change flags",
    "B02": "invalid changes leave the old state",
    "B03": "changed lists of children",
    "B04": "ignored change",
    "B05": "pool keeps one template",
    "B06": "auto_shutdown transitions",
}


class Collector:
    """Notes the outcome of every test that carries an identifier."""

    def __init__(self) -> None:
        self.outcomes: dict[str, list[bool]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when != "call" and report.passed:
            return
        name = report.nodeid.rpartition("::")[2]
        for entry in NAMES.findall(name):
            self.outcomes.setdefault(entry, []).append(report.passed)


def run() -> dict[str, str]:
    """Each entry with `pass`, `fail` or `missing`."""
    collector = Collector()
    files = [str(path) for path in PLACES if NAMES.search(path.read_text())]
    with contextlib.redirect_stdout(sys.stderr):  # stdout is for the result
        pytest.main(["-q", "--rootdir", str(ROOT), *files], plugins=[collector])
    return {entry: verdict(collector.outcomes.get(entry)) for entry in ENTRIES}


def verdict(outcomes: list[bool] | None) -> str:
    if not outcomes:
        return "missing"
    return "pass" if all(outcomes) else "fail"


def main() -> int:
    sys.path.insert(0, str(ROOT))
    results = run()
    passed = sum(result == "pass" for result in results.values())
    if "--json" in sys.argv[1:]:
        rows = [{"id": entry, "title": ENTRIES[entry], "result": result} for entry, result in results.items()]
        rows += [{"id": entry, "title": title, "result": "optional"} for entry, title in OPTIONAL.items()]
        print(json.dumps({"schema": 1, "passed": passed, "of": len(results), "entries": rows}))
    else:
        for entry, result in results.items():
            print(f"{entry}  {result:8} {ENTRIES[entry]}")
        for entry, title in OPTIONAL.items():
            print(f"{entry}  optional {title}")
        print(f"{passed} of {len(results)} pass")
    return 0 if passed == len(results) else 1


if __name__ == "__main__":
    sys.exit(main())
