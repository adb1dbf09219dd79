"""Every shipped example is a configuration without mistakes, and the annotated one leaves nothing out."""

from importlib import resources
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from config.canonical import canonical, parse_canonical
from config.load import load
from config.settings import Rules, Settings

EXAMPLES = Path(str(resources.files("config").joinpath("examples")))
NAMES = {"PROJECT_X_USERNAME": "trader"}


def test_examples_are_those_that_are_promised() -> None:
    assert {path.name for path in EXAMPLES.iterdir()} == {
        "evaluation.yaml",
        "funded.yaml",
        "practice.yaml",
        "riskd.example.yaml",
        "several_accounts.yaml",
        "simulator.yaml",
    }


@pytest.mark.parametrize("path", sorted(EXAMPLES.iterdir()), ids=lambda path: path.name)
def test_example_loads_without_mistake_or_warning(path: Path) -> None:
    loaded = load([path], (), NAMES)

    assert loaded.warnings == ()
    assert parse_canonical(canonical(loaded.settings)) == loaded.settings


def test_annotated_example_names_every_part_and_rule() -> None:
    written = YAML(typ="safe").load(EXAMPLES / "riskd.example.yaml")

    assert set(written) == set(Settings.model_fields)
    assert set(written["rules"]) == set(Rules.model_fields)


def test_annotated_example_shows_the_defaults() -> None:
    """What it writes and what is left out agree, but for what is meant as a choice."""
    read = load([EXAMPLES / "riskd.example.yaml"], (), NAMES).settings
    armed = {
        name: {"mode": rule.mode} for name, rule in zip(Rules.model_fields, read.rules.each(), strict=True)
    }
    armed["max_contracts_per_instrument"]["limits"] = {"MNQ": 2, "ES": 1}
    armed["daily_unrealized_loss"]["action"] = armed["max_unrealized_profit"]["action"] = "close"
    defaults = Rules.model_validate(armed)

    assert read.rules == defaults


def test_several_accounts_differ_where_they_say() -> None:
    read = load([EXAMPLES / "several_accounts.yaml"], (), NAMES).settings
    practice, evaluation, funded = (
        read.for_account(name) for name in ("PRAC-V2-1001", "50KTC-V2-1002", "EXPRESS-V2-1003")
    )

    assert (practice.daily_realized_loss.mode, practice.daily_realized_loss.limit) == ("shadow", -5_000_000)
    assert evaluation == read.rules
    assert funded.max_contracts_per_instrument.limits == {"MNQ": 2, "MES": 5}
    assert funded.session_block_outside.session == "morning"
