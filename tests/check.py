"""`python3 ops/run.py check`: lint, format, types, import directions, coverage. Exit 0 only if all hold."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FLOOR_OVERALL = 80.0
FLOOR_DECISIONS = 95.0
"""What decides about money is covered more tightly than what surrounds it."""
DECISIONS = ("actors/rules/", "actors/enforcement/", "actors/account/", "supervisor/core.py")


def main() -> int:
    python = sys.executable
    failed = [
        name
        for name, command in {
            "lint": [python, "-m", "ruff", "check", "."],
            "format": [python, "-m", "ruff", "format", "--check", "--quiet", "."],
            "types": [python, "-m", "mypy"],
            "house rules": [python, "-m", "pytest", "-q", "-p", "no:randomly", "tests/test_architecture.py"],
        }.items()
        if not step(name, command)
    ]
    if not coverage(python):
        failed.append("coverage")
    print("check: " + ("cannot pass: " + ", ".join(failed) if failed else "all held"))
    return 1 if failed else 0


def step(name: str, command: list[str]) -> bool:
    print(f"== {name}", flush=True)
    return subprocess.run(command, cwd=ROOT).returncode == 0


def coverage(python: str) -> bool:
    """Lines run by the tests that start no further process (those cannot be seen from here)."""
    print("== coverage", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "coverage.json"
        environment = {**os.environ, "COVERAGE_CORE": "sysmon", "COVERAGE_FILE": str(Path(folder) / "data")}
        command = [
            python,
            "-m",
            "pytest",
            "-q",
            "-n",
            "2",
            "--dist",
            "loadgroup",
            "-m",
            "not process",
            "--cov",
        ]
        command += ["--cov-report", f"json:{report}", "--cov-report", ""]
        if subprocess.run(command, cwd=ROOT, env=environment).returncode:
            return False
        return judge(json.loads(report.read_text()))


def judge(report: dict[str, dict[str, dict[str, dict[str, float]]]]) -> bool:
    files = {name.replace("\\", "/"): entry["summary"] for name, entry in report["files"].items()}
    held = True
    for group, floor in {"": FLOOR_OVERALL, **dict.fromkeys(DECISIONS, FLOOR_DECISIONS)}.items():
        chosen = [summary for name, summary in files.items() if name.startswith(group)]
        lines = sum(summary["num_statements"] for summary in chosen)
        share = 100.0 * sum(summary["covered_lines"] for summary in chosen) / max(1, lines)
        good = share >= floor
        held = held and good
        print(
            f"{group or 'overall':28} {share:6.1f} % of {lines} lines"
            f" (floor {floor:.0f} %) {'ok' if good else 'LOW'}"
        )
    return held


if __name__ == "__main__":
    sys.exit(main())
