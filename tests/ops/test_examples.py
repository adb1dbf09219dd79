"""The example programs of the documents, run against a guard that has just enforced something."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scenarios.desk import Desk, desk

EXAMPLES = Path(__file__).resolve().parents[2] / "ops" / "docs" / "examples"


@pytest.fixture(scope="module")
def enforced() -> Iterator[Desk]:
    """A guard that has closed a position and locked the account for its loss."""
    with desk({"daily_realized_loss": {"limit": -500}}) as d:
        d.buy("MNQ", 2)
        d.holds(MNQ=2)
        d.price("MNQ", 20850)
        d.holds()
        d.settle()
        yield d


def run(example: str, home: Path, *arguments: str) -> str:
    return subprocess.run(
        [sys.executable, str(EXAMPLES / example), "--home", str(home), *arguments],
        cwd=EXAMPLES.parents[2],
        env={"PYTHONPATH": str(EXAMPLES.parents[2])},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout


def test_following_events_shows_each_line_once_oldest_first(enforced: Desk) -> None:
    lines = run("follow_events.py", enforced.folder, "--for", "0").splitlines()

    assert {"fill", "breach", "demand", "lockout", "enforcement"} <= {line.split()[2] for line in lines}
    assert [line.split()[0] for line in lines] == sorted(line.split()[0] for line in lines)
    assert len(set(lines)) == len(lines)


def test_reacting_to_an_alert_runs_the_program_once_for_it(enforced: Desk, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    keep = f"import sys; open({str(seen)!r}, 'a').write(sys.stdin.read() + chr(10))"
    run(
        "react_to_alert.py",
        enforced.folder,
        "--since",
        "2020-01-01T00:00:00+00:00",
        "--for",
        "0",
        "--",
        sys.executable,
        "-c",
        keep,
    )

    alerts = [json.loads(line) for line in seen.read_text().splitlines()]
    assert any("locked" in alert["message"] for alert in alerts)
    assert len({alert["id"] for alert in alerts}) == len(alerts)


def test_receipts_are_read_without_anything_of_ours(enforced: Desk) -> None:
    text = run("read_receipts.py", enforced.folder)

    assert "for daily_realized_loss: close" in text
    assert "seen to be done" in text
    assert "NOT seen" not in text
