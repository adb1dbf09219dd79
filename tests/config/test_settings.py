"""The schema: names, defaults, overrides, and that nothing in it moves once read."""

from datetime import time, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from ruamel.yaml import YAML

from config.checks import settings_from
from config.mistakes import ConfigurationMistakes
from config.settings import Rules, Settings

RULES = (
    *("max_contracts", "max_contracts_per_instrument", "daily_realized_loss", "daily_unrealized_loss"),
    *("max_unrealized_profit", "trade_frequency_limit", "cooldown_after_loss", "no_stop_loss_grace"),
    *("session_block_outside", "auth_loss_guard", "symbol_blocks", "trade_management"),
    *("daily_realized_profit", "loss_streak"),
)
MAIN = {"main": {"start": "08:30", "end": "15:00", "timezone": "America/Chicago"}}


def settings(**parts: Any) -> Settings:
    """A small valid configuration with the given parts replaced."""
    return settings_from({"gateway": {"kind": "simulator"}, "accounts": "all", "sessions": MAIN, **parts})


def mistakes(**parts: Any) -> dict[str, str]:
    """Key -> whole message of every mistake."""
    with pytest.raises(ConfigurationMistakes) as refused:
        settings(**parts)
    found = {mistake.key: f"{mistake.text}. {mistake.hint}" for mistake in refused.value.mistakes}
    assert len(found) == len(refused.value.mistakes)  # none is said twice
    return found


def test_every_rule_is_named_as_its_key() -> None:
    assert tuple(Rules.model_fields) == RULES
    assert tuple(rule.name for rule in Rules().each()) == RULES


def test_rule_left_out_is_off_and_written_rule_is_armed() -> None:
    read = settings(rules={"max_contracts": {"limit": 3}}).rules

    assert read.max_contracts.mode == "armed"
    assert {rule.name for rule in read.each() if rule.mode != "off"} == {"max_contracts"}


@pytest.mark.parametrize("rule", ["no_stop_loss_grace", "trade_management", "loss_streak"])
def test_rule_that_is_off_by_default_stays_off_until_said(rule: str) -> None:
    assert getattr(settings(rules={rule: {}}).rules, rule).mode == "off"


def test_defaults_are_those_of_the_rules() -> None:
    rules = Rules()

    assert rules.max_contracts.limit == 5
    assert (rules.max_contracts.count, rules.max_contracts.action) == ("net", "reduce")
    assert rules.max_contracts.alert_at == Fraction(4, 5)
    assert rules.max_contracts_per_instrument.default_limit == 3
    assert rules.daily_realized_loss.limit == -5_000_000
    assert rules.daily_realized_loss.include_unrealized is True
    assert rules.daily_unrealized_loss.limit == -3_000_000
    assert rules.max_unrealized_profit.target == 5_000_000
    frequency = rules.trade_frequency_limit
    assert (frequency.per_minute, frequency.per_hour, frequency.per_session) == (3, 10, 50)
    assert frequency.cooldown.per_minute == timedelta(seconds=60)
    assert frequency.cooldown.per_session == "until_reset"
    assert [(tier.loss, tier.cooldown) for tier in rules.cooldown_after_loss.tiers] == [
        (-1_000_000, timedelta(minutes=5)),
        (-2_000_000, timedelta(minutes=15)),
        (-3_000_000, timedelta(minutes=30)),
    ]
    assert rules.daily_realized_profit.target == 10_000_000
    assert (rules.loss_streak.losses, rules.loss_streak.lockout) == (3, "until_reset")
    assert rules.auth_loss_guard.repeat_every == timedelta(minutes=15)


def test_trading_day_defaults_to_chicago_at_17() -> None:
    read = settings()

    assert read.trading_day.reset == time(17)
    assert str(read.trading_day.timezone) == "America/Chicago"


def test_settings_cannot_be_changed_once_read() -> None:
    with pytest.raises(ValidationError):
        settings().rules.max_contracts.limit = 9  # type: ignore[misc]


@pytest.mark.parametrize(
    ("enabled", "mode"), [(True, "armed"), (False, "off"), ("true", "armed"), ("false", "off")]
)
def test_enabled_reads_as_mode(enabled: object, mode: str) -> None:
    assert settings(rules={"max_contracts": {"enabled": enabled}}).rules.max_contracts.mode == mode


def test_enabled_beside_mode_is_a_mistake() -> None:
    assert (
        "twice"
        in mistakes(rules={"max_contracts": {"enabled": True, "mode": "armed"}})["rules.max_contracts"]
    )


@pytest.mark.parametrize(("scope", "acts"), [("position", "close"), ("account", "flatten")])
def test_action_left_out_follows_the_scope(scope: str, acts: str) -> None:
    rules = settings(
        rules={"daily_unrealized_loss": {"scope": scope}, "max_unrealized_profit": {"scope": scope}}
    ).rules

    assert rules.daily_unrealized_loss.acts == rules.max_unrealized_profit.acts == acts


def test_roots_are_kept_in_the_exchange_spelling() -> None:
    rules = settings(
        rules={
            "max_contracts_per_instrument": {"limits": {"enq": 2}},
            "symbol_blocks": {"blocked": ["ep", "*nq*"]},
            "session_block_outside": {"by_root": {"EU6": "main"}},
        }
    ).rules

    assert rules.max_contracts_per_instrument.limits == {"NQ": 2}
    assert rules.symbol_blocks.blocked == ("ES", "*NQ*")
    assert rules.session_block_outside.by_root == {"6E": "main"}


def test_for_account_merges_overrides_key_by_key() -> None:
    read = settings(
        accounts=[
            {
                "name": "A",
                "rules": {
                    "max_contracts_per_instrument": {"limits": {"ENQ": 1}},
                    "loss_streak": {"losses": 2},
                },
            },
            {"name": "B"},
        ],
        rules={
            "max_contracts_per_instrument": {
                "mode": "shadow",
                "default_limit": 4,
                "limits": {"NQ": 9, "MNQ": 2},
            },
            "loss_streak": {"mode": "armed", "losses": 5},
        },
    )

    each = read.for_account("B").max_contracts_per_instrument
    assert (each.mode, each.default_limit, each.limits) == ("shadow", 4, {"NQ": 9, "MNQ": 2})
    each = read.for_account("A").max_contracts_per_instrument
    assert (each.mode, each.default_limit, each.limits) == ("shadow", 4, {"NQ": 1, "MNQ": 2})
    assert (read.for_account("A").loss_streak.losses, read.for_account("A").loss_streak.mode) == (2, "armed")


def test_for_account_finds_by_name_or_id_and_knows_who_is_not_guarded() -> None:
    read = settings(accounts=[{"name": 4711}])

    assert read.for_account("PRAC", "4711") == read.rules
    with pytest.raises(KeyError):
        read.for_account("PRAC")
    assert settings().for_account("anyone") == settings().rules


def test_override_of_a_rule_left_out_for_all_is_armed_there_only() -> None:
    read = settings(accounts=[{"name": "A", "rules": {"max_contracts": {"limit": 2}}}, {"name": "B"}])

    assert read.for_account("A").max_contracts.mode == "armed"
    assert read.for_account("B").max_contracts.mode == "off"


def test_override_with_enabled_wins_over_the_mode_for_all() -> None:
    read = settings(
        accounts=[{"name": "A", "rules": {"max_contracts": {"enabled": False}}}],
        rules={"max_contracts": {"mode": "armed"}},
    )

    assert read.for_account("A").max_contracts.mode == "off"


def test_mistake_in_an_override_is_at_the_override() -> None:
    found = mistakes(
        accounts=[{"name": "A", "rules": {"daily_realized_loss": {"limit": 5}, "max_contract": {}}}],
        rules={"daily_realized_loss": {"limit": -500}},
    )

    assert set(found) == {"accounts.0.rules.daily_realized_loss.limit", "accounts.0.rules.max_contract"}
    assert "did you mean max_contracts?" in found["accounts.0.rules.max_contract"]


MISTAKES = YAML(typ="safe").load(Path(__file__).with_name("mistakes.yaml"))
NO_MISTAKES = YAML(typ="safe").load(Path(__file__).with_name("no_mistakes.yaml"))


@pytest.mark.parametrize("row", MISTAKES, ids=[row["what"] for row in MISTAKES])
def test_mistake_is_found_at_its_key_with_a_hint(row: dict[str, Any]) -> None:
    found = mistakes(**row["written"])

    assert list(found) == [row["at"]]
    assert row["said"] in found[row["at"]]


@pytest.mark.parametrize("parts", NO_MISTAKES, ids=str)
def test_what_fits_together_is_no_mistake(parts: dict[str, Any]) -> None:
    settings(**parts)


def test_refused_value_convicts_no_other() -> None:
    """Without its limit the daily rule would have the default of -500, which the position's limit exceeds."""
    found = mistakes(rules={"daily_realized_loss": {"limit": 1000}, "daily_unrealized_loss": {"limit": -600}})

    assert list(found) == ["rules.daily_realized_loss.limit"]


def test_relation_is_judged_for_every_account_with_its_overrides() -> None:
    found = mistakes(
        accounts=[{"name": "A", "rules": {"daily_unrealized_loss": {"limit": -600}}}, {"name": "B"}],
        rules={"daily_realized_loss": {"limit": -500}, "daily_unrealized_loss": {"limit": -300}},
    )

    assert list(found) == ["accounts.0.rules.daily_unrealized_loss.limit"]


def test_mistake_in_the_rules_for_all_is_said_once() -> None:
    found = mistakes(accounts=[{"name": "A"}, {"name": "B"}], rules={"trade_management": {"mode": "armed"}})

    assert list(found) == ["rules.trade_management"]


def test_secret_is_never_repeated_in_a_mistake() -> None:
    with pytest.raises(ConfigurationMistakes) as refused:
        settings(
            gateway={"kind": "simulator", "api_key": "hunter2"}, alerts=[{"to": "https://hooks/hunter2"}]
        )

    assert len(refused.value.mistakes) == 2
    assert "hunter2" not in str(refused.value) + repr(refused.value.mistakes)
