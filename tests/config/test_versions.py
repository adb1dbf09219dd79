"""A configuration of an older schema version is lifted step by step; of a newer one it is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from config.load import ConfigurationMistakes, load
from config.versions import NEWEST, STEPS, lifted

SMALL = "gateway: {kind: simulator}\naccounts: all\n"


def renamed(document: dict[str, Any]) -> dict[str, Any]:
    return {"new" if key == "old" else key: value for key, value in document.items()}


def doubled(document: dict[str, Any]) -> dict[str, Any]:
    return {**document, "new": document["new"] * 2}


def test_steps_are_taken_one_after_the_other_up_to_the_newest() -> None:
    steps = {1: renamed, 2: doubled}
    assert lifted({"version": 1, "old": 4}, steps) == {"version": 3, "new": 8}
    assert lifted({"version": "2", "new": 4}, steps) == {"version": 3, "new": 8}
    assert lifted({"version": 3, "new": 4}, steps) == {"version": 3, "new": 4}
    assert lifted({"old": 4}, steps) == {"old": 4}


def test_there_is_a_step_from_each_older_version() -> None:
    assert sorted(STEPS) == list(range(1, NEWEST))


@pytest.mark.parametrize(
    ("written", "why"),
    [("2", "reads versions up to 1. update riskd"), ("one", "'one' is no version"), ("0", "write 1")],
)
def test_a_version_that_is_not_known_is_a_mistake(tmp_path: Path, written: str, why: str) -> None:
    file = tmp_path / "riskd.yaml"
    file.write_text(f"version: {written}\n{SMALL}")
    with pytest.raises(ConfigurationMistakes, match=why) as refused:
        load((file,))
    assert [(m.key, m.line, m.column) for m in refused.value.mistakes] == [("version", 1, 10)]


def test_a_version_left_out_is_the_newest(tmp_path: Path) -> None:
    file = tmp_path / "riskd.yaml"
    file.write_text(SMALL)
    assert load((file,)).settings.version == NEWEST
