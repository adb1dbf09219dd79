"""Every key of the schema knows what tightens it, and what it knows holds for real values."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from config.checks import settings_from
from config.directions import DIRECTIONS, ROWS
from config.fields import Page
from config.pending import Standing, accept, loosenings, tightened
from config.settings import Rules, Settings

NOW = datetime(2026, 11, 18, 16, 0, tzinfo=UTC)
SESSION = {"start": "08:30", "end": "15:00"}
ARMED: dict[str, Any] = {
    "symbol_blocks": {"blocked": ["CL"]},
    "trade_management": {"mode": "armed", "stop_loss": {"ticks": 20}},
    "loss_streak": {"mode": "armed"},
    "no_stop_loss_grace": {"mode": "armed"},
}


def document(**parts: Any) -> dict[str, Any]:
    rules = {name: {} for name in Rules.model_fields} | ARMED | parts.pop("rules", {})
    return {
        "gateway": {"kind": "simulator"},
        "accounts": "all",
        "sessions": {"main": SESSION},
        "rules": rules,
        **parts,
    }


def settings(**parts: Any) -> Settings:
    return settings_from(document(**parts))


def rule(name: str, **values: Any) -> Settings:
    return settings(rules={name: {**ARMED.get(name, {}), **values}})


def keys_of(page: type[Page], at: str = "") -> list[str]:
    found = []
    for name, field in page.model_fields.items():
        key = f"{at}.{name}" if at else name
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, Page):
            found += keys_of(inner, key)
        else:
            found.append(key)
    return found


def test_every_key_of_the_schema_has_a_direction() -> None:
    assert sorted(ROWS) == sorted(keys_of(Settings))


def test_a_direction_is_written_down_once() -> None:
    assert len(ROWS) == len(
        {key for name in DIRECTIONS for key in _spelled(name)}
        | {key for key in ROWS if key.endswith((".mode", ".alert_at"))}
    )


def _spelled(key: str) -> list[str]:
    above, _, last = key.rpartition(".")
    return [f"{above}.{name}" if above else name for name in last.split("+")]


TIGHTENS = [
    ("max_contracts", {"limit": 5}, {"limit": 4}),
    ("max_contracts", {"count": "net"}, {"count": "gross"}),
    ("max_contracts", {"action": "reduce"}, {"action": "flatten"}),
    ("max_contracts", {"alert_at": None}, {"alert_at": "90%"}),
    ("max_contracts", {"alert_at": "80%"}, {"alert_at": "50%"}),
    ("max_contracts_per_instrument", {"limits": {}}, {"limits": {"MNQ": 2}}),
    ("max_contracts_per_instrument", {"limits": {"MNQ": 9}}, {"limits": {}}),
    ("max_contracts_per_instrument", {"unknown": "default"}, {"unknown": "block"}),
    ("max_contracts_per_instrument", {"default_limit": None, "limits": {"ES": 1}}, {"limits": {"ES": 1}}),
    ("daily_realized_loss", {"limit": -500}, {"limit": -499}),
    ("daily_realized_loss", {"include_unrealized": False}, {"include_unrealized": True}),
    ("daily_unrealized_loss", {"lockout": "none"}, {"lockout": "1m"}),
    ("daily_unrealized_loss", {"lockout": "5m"}, {"lockout": "10m"}),
    ("max_unrealized_profit", {"target": 500}, {"target": 400}),
    ("max_unrealized_profit", {"action": "breakeven"}, {"action": "close"}),
    ("trade_frequency_limit", {"per_minute": 3}, {"per_minute": 2}),
    ("trade_frequency_limit", {"per_session": None}, {"per_session": 60}),
    ("trade_frequency_limit", {"count": "entries"}, {"count": "executions"}),
    ("trade_frequency_limit", {"cooldown": {"per_minute": "60s"}}, {"cooldown": {"per_minute": "61s"}}),
    ("trade_frequency_limit", {"flatten": False}, {"flatten": True}),
    (
        "cooldown_after_loss",
        {"tiers": [{"loss": -100, "cooldown": "5m"}]},
        {"tiers": [{"loss": -100, "cooldown": "5m"}, {"loss": -200, "cooldown": "6m"}]},
    ),
    (
        "cooldown_after_loss",
        {"tiers": [{"loss": -100, "cooldown": "5m"}]},
        {"tiers": [{"loss": -90, "cooldown": "5m"}]},
    ),
    ("no_stop_loss_grace", {"grace": "60s"}, {"grace": "0s"}),
    ("session_block_outside", {"respect_holidays": False}, {"respect_holidays": True}),
    ("session_block_outside", {"close_grace": "5s"}, {"close_grace": "0s"}),
    ("auth_loss_guard", {"check_every": "30s"}, {"check_every": "10s"}),
    ("auth_loss_guard", {"on_disconnect": "ignore"}, {"on_disconnect": "info"}),
    ("auth_loss_guard", {"unlock": "auto"}, {"unlock": "admin"}),
    ("symbol_blocks", {"blocked": ["CL"]}, {"blocked": ["CL", "NG"]}),
    ("symbol_blocks", {"blocked": ["NQ", "MNQ"]}, {"blocked": ["*NQ"]}),
    ("trade_management", {"stop_loss": {"ticks": 20}}, {"stop_loss": {"ticks": 10}}),
    ("trade_management", {}, {"take_profit": {"ticks": 10}}),
    ("daily_realized_profit", {"target": 1000}, {"target": 900}),
    ("loss_streak", {"losses": 3}, {"losses": 2}),
    ("loss_streak", {"lockout": "1h"}, {"lockout": "2h"}),
    ("max_contracts", {"mode": "shadow"}, {"mode": "armed"}),
    ("max_contracts", {"mode": "off"}, {"mode": "shadow"}),
    ("max_contracts", {"mode": "off", "limit": 5}, {"mode": "armed", "limit": 50}),
]
"""Rule, values in force, values that protect more."""


@pytest.mark.parametrize(("name", "lax", "strict"), TIGHTENS)
def test_what_tightens_is_taken_at_once_and_its_reverse_waits(name: str, lax: Any, strict: Any) -> None:
    before, after = rule(name, **lax), rule(name, **strict)
    assert loosenings(before, after) == frozenset()
    assert tightened(before, after) == after
    assert loosenings(after, before)
    assert tightened(after, before).rules == after.rules


UNTOLD = [
    ("session_block_outside", {"session": "main"}, {"session": "early"}),
    ("session_block_outside", {"by_root": {}}, {"by_root": {"CL": "early"}}),
    ("daily_unrealized_loss", {"scope": "position"}, {"scope": "account"}),
    ("trade_frequency_limit", {"cooldown": {"per_hour": "30m"}}, {"cooldown": {"per_hour": "until_reset"}}),
]


@pytest.mark.parametrize(("name", "one", "other"), UNTOLD)
def test_what_cannot_be_compared_counts_as_loosening_both_ways(name: str, one: Any, other: Any) -> None:
    sessions = {"main": SESSION, "early": {"start": "07:00", "end": "12:00"}}
    first = settings(sessions=sessions, rules={name: one})
    second = settings(sessions=sessions, rules={name: other})
    assert loosenings(first, second)
    assert loosenings(second, first)


PARTS = [
    ({"unknown_contract": "alert"}, {"unknown_contract": "close"}),
    ({"resting_stops": "ignore"}, {"resting_stops": "require"}),
    ({"tamper": {}}, {"tamper": {"admin_unlock": "never"}}),
    ({"tamper": {}}, {"tamper": {"loosen_after": "1h"}}),
    ({"tamper": {"loosen_after": "1h"}}, {"tamper": {"loosen_after": "2h"}}),
    ({"tamper": {}}, {"tamper": {"witness": "/tmp/seen"}}),
    ({"chaos": {"enabled": True}}, {"chaos": {"enabled": False}}),
    ({"sessions": {"main": SESSION}}, {"sessions": {"main": {"start": "09:00", "end": "14:00"}}}),
    ({"sessions": {"main": SESSION}}, {"sessions": {"main": {**SESSION, "days": ["mon", "tue"]}}}),
    ({"quotes": {"blind_after": "30s"}}, {"quotes": {"blind_after": "20s"}}),
    (
        {"holidays": {"early_closes": [{"date": "2026-11-27", "close": "12:15"}]}},
        {"holidays": {"early_closes": [{"date": "2026-11-27", "close": "12:00"}]}},
    ),
    (
        {"alerts": [{"to": {"env": "URL"}, "level": "error"}]},
        {"alerts": [{"to": {"env": "URL"}, "level": "info"}]},
    ),
    ({"alerts": []}, {"alerts": [{"to": {"env": "URL"}}]}),
    (
        {"accounts": [{"name": "A"}]},
        {"accounts": [{"name": "A"}, {"name": "B"}]},
    ),
    (
        {"accounts": [{"name": "A"}, {"name": "B"}]},
        {"accounts": [{"name": "A"}, {"name": "B", "rules": {"max_contracts": {"limit": 1}}}]},
    ),
    ({"accounts": [{"name": "A"}]}, {"accounts": "all"}),
]


@pytest.mark.parametrize(("lax", "strict"), PARTS)
def test_outside_of_rules_too(lax: dict[str, Any], strict: dict[str, Any]) -> None:
    before, after = settings(**lax), settings(**strict)
    assert loosenings(before, after) == frozenset()
    assert tightened(before, after) == after
    assert loosenings(after, before)


ALWAYS = [
    ({}, {"trading_day": {"reset": "16:00"}}),
    ({}, {"holidays": {"closed": ["2026-12-24"]}}),
    ({}, {"quotes": {"stale_after": "5s"}}),
    ({}, {"watchdog": {"heartbeat_deadline": "1s"}}),
    (
        {"gateway": {"kind": "simulator"}},
        {
            "gateway": {
                "kind": "projectx",
                **dict.fromkeys(("api_url", "user_hub_url", "market_hub_url"), "https://example.com"),
                "username": "u",
                "api_key": {"env": "K"},
            }
        },
    ),
]


@pytest.mark.parametrize(("one", "other"), ALWAYS)
def test_what_nobody_can_judge_waits_in_either_direction(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert loosenings(settings(**one), settings(**other))
    assert loosenings(settings(**other), settings(**one))


def test_a_simulated_gateway_may_move_to_another_port() -> None:
    one = settings(gateway={"kind": "simulator", "api_url": "http://127.0.0.1:1"})
    other = settings(gateway={"kind": "simulator", "api_url": "http://127.0.0.1:2"})
    assert loosenings(one, other) == frozenset()


def test_logs_and_metrics_are_free() -> None:
    changed = settings(logging={"level": "debug"}, metrics={"port": 9000}, control={"viewers": ["eve"]})
    assert loosenings(settings(), changed) == frozenset()
    assert loosenings(changed, settings()) == frozenset()


def test_what_a_rule_that_is_off_says_is_free() -> None:
    before = rule("max_contracts", mode="off", limit=5)
    assert loosenings(before, rule("max_contracts", mode="off", limit=50)) == frozenset()


def test_a_mixed_change_tightens_now_and_loosens_later() -> None:
    """Given lots MNQ 2 and ES 1, when MNQ goes to 1 and ES to 3, then MNQ 1 and ES 1 are in force."""
    before = rule("max_contracts_per_instrument", limits={"MNQ": 2, "ES": 1})
    after = settings(
        rules={
            "max_contracts_per_instrument": {"limits": {"MNQ": 1, "ES": 3}},
            "daily_realized_loss": {"limit": -400},
        }
    )
    standing = accept(Standing.settled(before), after, NOW + timedelta(hours=1), waits=True)
    assert standing.in_force.rules.max_contracts_per_instrument.limits == {"MNQ": 1, "ES": 1}
    assert standing.in_force.rules.daily_realized_loss.limit == -4_000_000
    assert [one.key for one in standing.waiting] == ["rules.max_contracts_per_instrument.limits"]


def test_an_override_that_loosens_one_account_waits_for_that_account_alone() -> None:
    before = settings(accounts=[{"name": "A"}, {"name": "B"}])
    after = settings(accounts=[{"name": "A"}, {"name": "B", "rules": {"max_contracts": {"limit": 9}}}])
    assert loosenings(before, after) == {"accounts.B.rules.max_contracts.limit"}


def test_fewer_accounts_wait_and_the_one_that_goes_stays_guarded() -> None:
    before, after = settings(accounts=[{"name": "A"}, {"name": "B"}]), settings(accounts=[{"name": "A"}])
    standing = accept(Standing.settled(before), after, NOW, waits=True)
    assert standing.in_force.for_account("B") == before.for_account("B")
    assert [one.key for one in standing.waiting] == ["accounts.B"]


def test_a_session_that_a_guarding_rule_goes_by_is_not_taken_away() -> None:
    before = settings(sessions={"main": SESSION, "long": {"start": "06:00", "end": "20:00"}})
    after = settings(
        sessions={"long": {"start": "06:00", "end": "20:00"}},
        rules={"session_block_outside": {"session": "long"}},
    )
    assert tightened(before, after).rules.session_block_outside.session == "main"
    assert tightened(before, after).sessions["main"].end.hour == 15
