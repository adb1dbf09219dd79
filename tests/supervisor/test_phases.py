"""How long a start took, step by step."""

from __future__ import annotations

from supervisor.phases import Phases


def test_every_step_has_its_time_and_all_together_are_the_whole() -> None:
    phases = Phases(100.0, "importing")
    phases.begin("opening the store", 100.5)
    phases.begin("arming A", 100.75)
    phases.begin("logging in", 101.0)
    phases.begin("arming A", 101.25)

    told = phases.told(101.5)

    assert told["total_ms"] == 1500.0
    assert told["phases_ms"] == {
        "importing": 500.0,
        "opening the store": 250.0,
        "arming A": 500.0,
        "logging in": 250.0,
    }
