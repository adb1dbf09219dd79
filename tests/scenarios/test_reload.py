"""Changing limits while guarding: taken over at once, never against a lock, never half."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from config.checks import settings_from
from config.mistakes import ConfigurationMistakes
from config.older.importing import CannotImport, imported
from supervisor.protocol import DoReload, DoRuleMode, DoRuleSet, Exit, Refused
from tests.scenarios.desk import A, desk

OLDER = Path(__file__).parents[1] / "config" / "older"
LOSS = {"daily_realized_loss": {"limit": -500}}


def test_S90_an_import_without_the_timers_is_refused_and_so_is_a_rule_without_its_session(
    tmp_path: Path,
) -> None:
    """Given older files without the timers while 006, 007 and 009 are enabled, then refused, all named;
    given an armed 009 without `sessions.main`, then the configuration is refused."""
    shutil.copy(OLDER / "risk_config.yaml", tmp_path)
    with pytest.raises(CannotImport) as refused:
        imported(tmp_path)
    named = ("timers_config.yaml", "trade_frequency_limit", "cooldown_after_loss", "session_block_outside")
    assert all(name in str(refused.value) for name in named)

    with pytest.raises(ConfigurationMistakes, match="no session 'main'"):
        settings_from(
            {"gateway": {"kind": "simulator"}, "accounts": "all", "rules": {"session_block_outside": {}}}
        )


def test_S92_a_file_with_a_mistake_is_refused_and_the_old_limits_stay() -> None:
    """Given a limit of 2, when a file with a mistake is reloaded, then exit 78; 2 still acts."""
    with desk({"max_contracts": {"limit": 2}}) as d:
        d.write(rules={"max_contracts": {"limit": -1}})
        with pytest.raises(Refused) as refused:
            d.ask("reload", DoReload())
        assert refused.value.code is Exit.BAD_CONFIG

        d.buy("MNQ", 3)
        d.holds(MNQ=2)


def test_a_reload_keeps_lockout_position_pnl_and_says_what_needs_a_restart() -> None:
    """Given a lock by hand and 40 dollars lost, when another rule is reloaded, then both are still there."""
    with desk({"max_contracts": {"limit": 5}, **LOSS}) as d:
        d.book(-40)
        d.until(lambda: d.status(A)["realized"] == "-40.00", "the loss is counted")
        d.write(rules={"max_contracts": {"limit": 1}, **LOSS}, metrics={"port": 65000})
        answer = d.ask("reload", DoReload())

        assert answer["restart_needed"] == ["metrics.port"]
        assert {c["key"]: c["effect"] for c in answer["changes"]} == {
            "rules.max_contracts.limit": "now",
            "metrics.port": "restart",
        }
        d.until(lambda: d.status(A)["realized"] == "-40.00", "the loss is still counted")
        d.buy("MNQ", 2)
        d.holds(MNQ=1)


def test_the_limit_of_a_rule_that_locks_the_account_cannot_be_changed() -> None:
    """Given the loss limit locked the account, when it is set deeper, then exit 7; the lock stays."""
    with desk(LOSS) as d:
        d.book(-600)
        d.until(d.lockouts, "locked")
        with pytest.raises(Refused) as refused:
            d.ask("rules.set", DoRuleSet("daily_realized_loss", "limit", "-5000"))
        assert refused.value.code is Exit.COOLING_OFF
        assert list(d.lockouts()) == ["daily_realized_loss"]


def test_a_rule_is_set_and_switched_while_guarding() -> None:
    """Given a limit of 5, when it is set to 1 and later only shadowed, then 1 acts and then nothing does."""
    with desk({"max_contracts": {"limit": 5}}) as d:
        d.ask("rules.set", DoRuleSet("max_contracts", "limit", "1"))
        d.buy("MNQ", 2)
        d.holds(MNQ=1)
        d.ask("rules.mode", DoRuleMode("max_contracts", "shadow"))
        d.buy("MNQ", 2)
        d.settle()
        d.holds(MNQ=3)
