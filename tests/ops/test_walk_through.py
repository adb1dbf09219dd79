"""The README's walk-through, line by line as it stands there, by processes of their own in a fresh home."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.ops.cli.stand_in import Ran
from tests.ops.pages import lines, played
from tests.ops.rig import ROOT, Rig, rig

README = (ROOT / "README.md").read_text("utf-8")
MORNING = "2026-03-03T16:30:00Z"
"""Far from the reset, or the lockout would end while it is looked at."""


def typed(home: Rig, words: list[str]) -> Ran:
    done = subprocess.run(
        [sys.executable, "-m", "ops", *words],
        cwd=ROOT,
        env=dict(
            os.environ, RISKD_HOME=str(home.home.folder), RISKD_TEST_CLOCK=MORNING, TZ="America/Chicago"
        ),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def test_walk_through_of_the_readme_leads_from_nothing_to_a_locked_account_and_its_why() -> None:
    with rig() as home:
        done = [line.text for line in played(README, lambda words: typed(home, words))]

        assert home.running() == [], "its last line ends the guard"
    assert done[0].startswith("config init")
    assert any(line.printed and "limit" in line.printed for line in lines(README)), "the why is shown"
    assert done == [line.text for line in lines(README)], "every line was run"
