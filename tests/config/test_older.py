"""`config import`: every key of full older files is taken over, converted or dropped with a reason."""

# ruff: noqa: N802

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from config.checks import settings_from
from config.older.importing import API, HOLIDAYS, TIMERS, CannotImport, imported
from config.older.surroundings import weekdays

FOLDER = Path(__file__).parent / "older"
FILES = ("risk_config.yaml", "timers_config.yaml", "accounts.yaml", "api_config.yaml", "holidays.yaml")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in FILES:
        shutil.copy(FOLDER / name, tmp_path)
    return tmp_path


def change(folder: Path, file: str, **parts: Any) -> None:
    yaml = YAML(typ="safe")
    values = yaml.load((folder / file).read_text())
    for key, value in parts.items():
        *above, last = key.split("__")
        holder = values
        for step in above:
            holder = holder[step]
        holder[last] = value
    with (folder / file).open("w") as target:
        yaml.dump(values, target)


def leaves(value: Any, key: str = "") -> list[str]:
    if isinstance(value, dict) and value:
        return [leaf for k, v in value.items() for leaf in leaves(v, f"{key}.{k}" if key else str(k))]
    return [key]


@pytest.mark.parametrize("file", FILES)
def test_every_key_of_the_full_older_files_is_told_of(folder: Path, file: str) -> None:
    told = {line.key for line in imported(folder).lines if line.file == file}
    values = YAML(typ="safe").load((folder / file).read_text())
    if file == "accounts.yaml":
        listed = values.pop("accounts")
        values |= {"accounts": {str(index): entry for index, entry in enumerate(listed)}}
    silent = [key for key in leaves(values) if not any(key == k or key.startswith(f"{k}.") for k in told)]
    assert silent == []


def test_every_dropped_key_has_a_reason_and_every_other_a_place(folder: Path) -> None:
    for line in imported(folder).lines:
        assert line.why if line.outcome == "dropped" else line.to, line
        assert "no older version" not in line.why, line


def test_the_result_is_a_configuration_without_mistakes(folder: Path) -> None:
    document = imported(folder).document
    settings = settings_from(document)
    rules = settings.rules
    assert rules.daily_realized_loss.limit == -5_000_000
    assert rules.daily_realized_loss.include_unrealized is False
    assert rules.daily_realized_profit.include_unrealized is False
    assert document["rules"]["cooldown_after_loss"]["tiers"] == [{"loss": -100.0, "cooldown": "15m"}]
    assert document["rules"]["max_contracts"]["action"] == "reduce"
    assert document["rules"]["no_stop_loss_grace"] == {"mode": "off", "grace": "1m"}
    assert document["rules"]["trade_frequency_limit"]["cooldown"]["per_session"] == "1h"
    assert document["rules"]["session_block_outside"]["close_grace"] == "1m"
    assert document["rules"]["auth_loss_guard"]["unlock"] == "admin"
    assert document["rules"]["trade_management"]["trailing"] == {"after_ticks": 8, "distance_ticks": 4}
    assert document["sessions"]["main"] == {
        "start": "07:00",
        "end": "15:00",
        "timezone": "America/Chicago",
        "days": ["mon", "tue", "wed", "thu", "fri"],
    }
    assert document["trading_day"] == {"timezone": "America/Chicago", "reset": "17:00"}
    assert document["holidays"]["closed"] == ["2026-01-01", "2026-07-03", "2026-12-25"]
    assert [one["date"] for one in document["holidays"]["early_closes"]] == ["2026-11-27", "2026-12-24"]
    assert document["gateway"]["api_key"] == {"env": "PROJECT_X_API_KEY"}
    assert document["gateway"]["budget"] == {"requests": 100, "per": "60s", "reserved": 20}
    assert [account["name"] for account in document["accounts"]] == ["PRAC-V2-1001", "FUND-V2-2002"]
    assert settings.for_account("FUND-V2-2002").daily_realized_loss.limit == -3_000_000
    assert document["alerts"] == [{"to": {"env": "RISKD_DISCORD_URL"}}]


def test_S90_without_the_timers_file_it_is_refused_and_file_and_rules_are_named(folder: Path) -> None:
    (folder / TIMERS).unlink()
    with pytest.raises(CannotImport) as refused:
        imported(folder)
    for name in (TIMERS, "trade_frequency_limit", "cooldown_after_loss", "session_block_outside"):
        assert name in str(refused.value)


def test_without_the_timers_file_it_is_accepted_where_no_enabled_rule_needs_it(folder: Path) -> None:
    (folder / TIMERS).unlink()
    off = {
        f"rules__{name}__enabled": False
        for name in ("trade_frequency_limit", "cooldown_after_loss", "session_block_outside")
    }
    change(folder, "risk_config.yaml", **off)
    document = imported(folder).document
    assert document["rules"]["session_block_outside"]["mode"] == "off"
    assert document["sessions"]["main"]["timezone"] == "America/New_York"
    assert document["trading_day"]["timezone"] == "America/Chicago"


@pytest.mark.parametrize(
    ("numbers", "monday", "days"),
    [
        ([0, 1, 4], None, ["mon", "tue", "fri"]),
        ([1, 2, 7], None, ["mon", "tue", "sun"]),
        ([1, 2, 3], 1, ["mon", "tue", "wed"]),
        ([1, 2, 3], 0, ["tue", "wed", "thu"]),
        (["Monday", "fri"], None, ["mon", "fri"]),
    ],
)
def test_numbered_weekdays(numbers: list[Any], monday: int | None, days: list[str]) -> None:
    missing: list[str] = []
    assert weekdays(numbers, monday, missing) == days
    assert missing == []


@pytest.mark.parametrize("numbers", [[1, 2, 3, 4, 5], [0, 7], [0, 9]])
def test_numbers_that_do_not_say_where_the_week_begins_are_asked_about(
    folder: Path, numbers: list[int]
) -> None:
    change(folder, TIMERS, session_hours__allowed_days=numbers)
    with pytest.raises(CannotImport, match="--monday"):
        imported(folder)


def test_a_key_written_out_is_not_taken_into_the_file(folder: Path) -> None:
    change(folder, "accounts.yaml", topstepx__api_key="very-secret-key")
    found = imported(folder)
    assert "very-secret-key" not in str(found)
    assert found.document["gateway"]["api_key"] == {"env": "PROJECT_X_API_KEY"}


def test_a_gateway_whose_hubs_are_not_known_is_asked_about(folder: Path) -> None:
    for file, part in (("accounts.yaml", "topstepx"), (API, "projectx")):
        change(folder, file, **{f"{part}__api_url": "https://gateway.example.com/api"})
    with pytest.raises(CannotImport, match="user_hub_url"):
        imported(folder)


def test_a_key_that_no_older_version_had_is_said_to_be_unknown(folder: Path) -> None:
    change(folder, HOLIDAYS, moon_phase="full")
    (line,) = [one for one in imported(folder).lines if one.key == "moon_phase"]
    assert (line.outcome, line.why) == ("dropped", "no older version is known to have had this key")


def test_an_account_with_a_file_of_its_own_has_what_it_says_as_overrides(folder: Path) -> None:
    (folder / "mine.yaml").write_text("rules:\n  max_contracts: {limit: 1}\n")
    accounts = [{"id": "A", "risk_config_file": "mine.yaml"}]
    change(folder, "accounts.yaml", accounts=accounts)
    assert imported(folder).document["accounts"] == [{"name": "A", "rules": {"max_contracts": {"limit": 1}}}]
    change(folder, "accounts.yaml", accounts=[{"id": "A", "risk_config_file": "none.yaml"}])
    with pytest.raises(CannotImport, match=r"none\.yaml"):
        imported(folder)


def test_an_earlier_spelling_is_read_too(tmp_path: Path) -> None:
    """Positive limits, another name for the target, an enforcement in words, a window for the count."""
    (tmp_path / "risk_config.yaml").write_text(
        "rules:\n"
        "  max_contracts_per_instrument: {enabled: true, limits: {MNQ: 2}, enforcement: reduce_to_limit,\n"
        '    unknown_symbol_action: "allow_with_limit:1"}\n'
        "  daily_realized_loss: {enabled: true, loss_limit: 500.0, lockout_until: daily_reset}\n"
        "  daily_unrealized_loss: {enabled: true, loss_limit: 300.0, scope: per_position}\n"
        "  max_unrealized_profit: {enabled: true, profit_target: 900.0, mode: profit_target}\n"
        "  trade_frequency_limit: {enabled: false, max_trades: 30, time_window_minutes: 60}\n"
    )
    document = imported(tmp_path).document
    rules = document["rules"]
    assert rules["max_contracts_per_instrument"]["default_limit"] == 1
    assert rules["daily_realized_loss"]["limit"] == -500
    assert rules["daily_unrealized_loss"] == {"mode": "armed", "scope": "position", "limit": -300}
    assert rules["trade_frequency_limit"]["per_hour"] == 30
    settings_from(document)
