"""The demonstration as a person runs it: it tells the truth, and leaves nothing behind however it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from config.settings import Rules
from ops.demo import perform
from ops.demo.acts import Act, buy
from ops.demo.screen import Teller
from ops.demo.script import FAST, Part, Script
from ops.demo.sights import Holds

pytestmark = [pytest.mark.process, pytest.mark.skipif(sys.platform == "win32", reason="signals")]

ROOT = Path(__file__).resolve().parents[3]
A = "DEMO-A"


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where temporary folders are made; short enough for a control socket."""
    with tempfile.TemporaryDirectory(prefix="rd-", dir="/tmp") as folder:
        monkeypatch.setenv("TMPDIR", folder)
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield Path(folder)


def running(folder: Path) -> list[str]:
    """Command lines of processes that have anything to do with the folder."""
    found = []
    for process in psutil.process_iter(["cmdline", "cwd"]):
        words = [*(process.info["cmdline"] or ()), process.info["cwd"] or ""]
        if any(str(folder) in word for word in words):
            found.append(" ".join(words))
    return found


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "ops", "demo", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=dict(os.environ),
    )


@pytest.mark.timeout(180)
def test_fast_day_holds_every_expectation_and_leaves_nothing_behind(temporary: Path) -> None:
    demo = start("--fast", "--json")
    try:
        out, told = demo.communicate(timeout=150)
    finally:
        demo.kill()

    report = json.loads(out)
    assert report["good"], told
    assert demo.returncode == 0
    assert {fired["rule"] for fired in report["rules"]} == {rule.name for rule in Rules().each()}
    assert all(fired["breach_to_verified_ms"] is not None for fired in report["rules"])
    assert {restart["actor"] for restart in report["restarts"]} >= {"daemon"}
    assert len(report["restarts"]) == 2
    print(f"demo --fast: {report['took_s']:.1f} s")
    assert list(temporary.iterdir()) == []
    assert running(temporary) == []


@pytest.mark.parametrize("until", ["starting actors", "In the session"], ids=["starting", "playing"])
def test_interrupted_demonstration_ends_and_removes_everything(temporary: Path, until: str) -> None:
    demo = start("--fast")
    assert demo.stderr is not None
    try:
        for line in demo.stderr:
            if until in line:
                break
        demo.send_signal(signal.SIGINT)
        demo.communicate(timeout=60)
    finally:
        demo.kill()

    assert demo.returncode == 130
    assert list(temporary.iterdir()) == []
    assert running(temporary) == []


def test_missed_expectation_says_what_was_expected_and_seen_and_keeps_the_logs(temporary: Path) -> None:
    impossible = Act(
        account=A,
        tells="3 MNQ are bought where 2 are allowed.",
        does=(buy(A, "MNQ", 3),),
        sees=(Holds(account=A, positions={"MNQ": 7}),),
        within_s=1.0,
    )
    part = Part(A, {"max_contracts_per_instrument": {"limits": {"MNQ": 2}}}, {"MNQ": 21000})

    told = perform(Script("short", FAST, (part,), (impossible,)), Teller())

    assert not told.good
    assert told.trouble is None, told
    (missed,) = told.acts[0].missed
    assert missed.expected == f"{A} holds MNQ +7"
    assert missed.seen == "the gateway has MNQ +2 and 0 working orders, the guard MNQ +2"
    assert told.logs is not None
    assert (Path(told.logs) / "riskd.log").exists()
    assert [entry.name for entry in Path(told.logs).parent.iterdir()] == ["logs"]
    assert running(temporary) == []
