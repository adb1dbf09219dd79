"""`python3 ops/run.py scenarios [--json]`: runs the scenarios and says of each whether it holds.

pass | fail | later (no test yet) | missing (no test, but one is due) | bench (measured by `bench`).
Exit 0 only when every scenario up to the required number passes.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(ROOT))

from tests.scenarios.list import BENCHMARKS, REQUIRED_UP_TO, SCENARIOS  # noqa: E402

TEST_OF = re.compile(r"test_(S\d+)_")
"""The scenario that a test shows, by its name."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="scenarios", description=__doc__)
    parser.add_argument("--json", action="store_true", help="one object instead of the table")
    arguments = parser.parse_args()
    rows = judged(outcomes())
    required = [row for row in rows if number(row["id"]) <= REQUIRED_UP_TO]
    count = sum(row["result"] == "pass" for row in rows)
    held = all(row["result"] == "pass" for row in required)
    if arguments.json:
        print(json.dumps({"schema": 1, "passed": count, "of": len(rows), "held": held, "scenarios": rows}))
    else:
        for row in rows:
            print(f"{row['id']}  {row['result']:7}  {row['title']}")
        print(f"{count} of {len(rows)} pass; up to S{REQUIRED_UP_TO}: {'all' if held else 'NOT all'}")
    return 0 if held else 1


def outcomes() -> dict[str, list[bool]]:
    """Whether each test passed, by scenario. What was skipped was not shown."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-n",
            "2",
            "--dist",
            "loadgroup",
            str(HERE),
            f"--junit-xml={report}",
        ]
        ran = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if not report.exists():
            sys.exit(f"cannot run the scenarios: pytest ended with {ran.returncode}\n{ran.stdout}")
        found: dict[str, list[bool]] = {}
        for case in ElementTree.parse(report).iter("testcase"):
            named = TEST_OF.match(case.attrib["name"])
            if named is None:
                continue
            passed = not any(case.find(other) is not None for other in ("failure", "error", "skipped"))
            found.setdefault(named.group(1), []).append(passed)
    return found


def judged(found: dict[str, list[bool]]) -> list[dict[str, object]]:
    return [
        {"id": name, "title": title, "result": result(name, found), "tests": len(found.get(name, ()))}
        for name, title in SCENARIOS.items()
    ]


def result(name: str, found: dict[str, list[bool]]) -> str:
    if name in found:
        return "pass" if all(found[name]) else "fail"
    if name in BENCHMARKS:
        return "bench"
    return "missing" if number(name) <= REQUIRED_UP_TO else "later"


def number(name: object) -> int:
    return int(str(name)[1:])


if __name__ == "__main__":
    sys.exit(main())
