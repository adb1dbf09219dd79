"""What a daemon writes beside its logs: nothing of its libraries, at any level."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from tests.chaos.crash_points import cradle
from tests.chaos.mortal import mortal
from tests.chaos.plays import guarding


@pytest.mark.process
def test_every_line_of_the_sdk_goes_through_the_logs_and_none_holds_a_token() -> None:
    levels = {"project_x_py": "debug", "pysignalr": "debug"}
    with mortal(cradle()) as guard:
        guard.configure({"max_contracts": {"mode": "armed"}}, logging={"level": "debug", "modules": levels})
        guarding(guard)
        guard.stop()
        written = (guard.home.logs / "riskd.log").read_text("utf-8")
        said = guard.home.daemon_out.read_text("utf-8")

    heard = Counter(json.loads(line)["logger"].split(".")[0] for line in written.splitlines())
    assert heard["project_x_py"] > 0
    assert heard["pysignalr"] > 0
    assert said == "asked to stop by SIGTERM\n"
    assert "eyJ" not in written
