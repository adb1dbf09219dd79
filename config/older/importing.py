"""`config import`: the five older files into one configuration, with a word on every key."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from config.errors import OperatorMustAct
from config.mistakes import ConfigurationMistakes, Mistake
from config.older import surroundings
from config.older.pages import Line, Page, put
from config.older.rules import OLDER_RULES, rule

RISK, TIMERS, ACCOUNTS, API, HOLIDAYS = (
    "risk_config.yaml",
    "timers_config.yaml",
    "accounts.yaml",
    "api_config.yaml",
    "holidays.yaml",
)
NEED_TIMERS = ("trade_frequency_limit", "cooldown_after_loss", "session_block_outside")


class CannotImport(OperatorMustAct, ValueError):
    """The folder does not hold what is needed; `missing` names each thing."""

    def __init__(self, why: str, missing: tuple[str, ...]) -> None:
        super().__init__(f"{why}: {'; '.join(missing)}")
        self.why = why
        self.missing = missing


@dataclass(frozen=True)
class Imported:
    """The configuration that comes of a folder, and what became of each older key."""

    document: dict[str, Any]
    lines: tuple[Line, ...]


def imported(folder: Path, monday: int | None = None) -> Imported:
    """Convert the older files of a folder. `monday` is the number of Monday, where the files do not show it.

    Raises CannotImport, with all that is missing at once; ConfigurationMistakes where a file is no YAML.
    """
    try:
        return _imported(folder, monday)
    except (CannotImport, ConfigurationMistakes):
        raise
    except ValueError as error:
        raise CannotImport(f"cannot import {folder}", (str(error),)) from None


def _imported(folder: Path, monday: int | None) -> Imported:
    pages = {name: Page(name, _read(folder / name)) for name in (RISK, TIMERS, ACCOUNTS, API, HOLIDAYS)}
    risk, timers = pages[RISK], pages[TIMERS]
    if not risk.values:
        raise CannotImport(f"cannot import {folder}", (f"{RISK} is not there or says nothing",))
    rules = risk.part("rules") if isinstance(risk.look("rules"), dict) else risk
    missing = _needed(rules, timers)
    document: dict[str, Any] = {"version": 1}
    surroundings.login([pages[ACCOUNTS], pages[API]], document, missing)
    surroundings.day(rules, timers, risk.part("general"), document)
    surroundings.session(rules.part("session_block_outside"), timers, monday, document, missing)
    switched_off = document.pop("rules", {})
    made = _rules(rules, timers)
    for name, page in switched_off.items():
        made.get(name, {}).update(page)
    document["rules"] = made
    surroundings.holidays(timers, pages[HOLIDAYS], document)
    surroundings.general(risk.part("general"), document)
    surroundings.api(pages[API], document)
    _accounts(folder, pages[ACCOUNTS], document, missing)
    surroundings.timers_rest(timers)
    for page in pages.values():
        page.drop_rest()
    if missing:
        raise CannotImport(f"cannot import {folder}", tuple(missing))
    return Imported(_ordered(document), tuple(line for page in pages.values() for line in page.lines))


def _read(path: Path) -> dict[str, Any]:
    from config.tree import Source
    from config.yaml_reader import plain_values, read_yaml

    if not path.is_file():
        return {}
    mistakes: list[Mistake] = []
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise CannotImport(f"cannot read {path}", (str(error),)) from None
    if read_yaml(Source(str(path), text, mistakes)) is None or mistakes:
        raise ConfigurationMistakes(mistakes)
    try:
        found = plain_values(text)
    except (ValueError, RecursionError, OverflowError) as error:  # a date that is in no calendar, and such
        raise CannotImport(f"cannot read {path}", (str(error),)) from None
    return _text_keys(found) if isinstance(found, dict) else {}


def _text_keys(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _text_keys(inner) for key, inner in value.items()}
    return [_text_keys(inner) for inner in value] if isinstance(value, list) else value


def _needed(rules: Page, timers: Page) -> list[str]:
    needing = [name for name in NEED_TIMERS if rules.look(f"{name}.enabled") is True]
    if timers.values or not needing:
        return []
    return [f"{TIMERS} is not there, and {', '.join(needing)} need it (or have them disabled first)"]


def _rules(rules: Page, timers: Page) -> dict[str, Any]:
    return {
        name: rule(rules.part(name), timers, name)
        for name in OLDER_RULES
        if isinstance(rules.look(name), dict)
    }


def _accounts(folder: Path, old: Page, document: dict[str, Any], missing: list[str]) -> None:
    listed = list[dict[str, Any]]()
    if old.look("monitored_account") is None:
        old.take("monitored_account", "accounts", "a list")
    single = old.part("monitored_account")
    name = single.take("account_id", "accounts", "a list")
    if name is not None:
        listed.append({"name": str(name)})
        surroundings.account_rest(single)
    entries = old.look("accounts")
    for index, values in enumerate(entries if isinstance(entries, list) else ()):
        if isinstance(values, dict):
            entry = Page(old.file, values, old.lines, f"accounts.{index}", old.seen)
            listed += _account(folder, entry, missing)
    old.seen.add("accounts")
    document["accounts"] = listed or "all"


def _account(folder: Path, entry: Page, missing: list[str]) -> list[dict[str, Any]]:
    given = entry.take("id", "accounts.name", "the name or id that the gateway gives")
    given = entry.take("account_id", "accounts.name", "renamed") if given is None else given
    gone = surroundings.left_out(entry)
    overrides: dict[str, Any] = {}
    entry.take("config_overrides", "accounts.rules", "overrides")
    own = entry.take("risk_config_file", "accounts.rules", "what it says differently, as overrides")
    if own:
        values = _read(folder / str(own))
        page = Page(str(own), values, entry.lines)
        overrides = _rules(page.part("rules") if values.get("rules") else page, Page(TIMERS, {}))
        page.drop_rest()
        if not values:
            missing.append(f"{own}, which an account names, is not there or says nothing")
    part = entry.part("config_overrides")
    if part.values:
        inner = part.part("rules") if isinstance(part.look("rules"), dict) else part
        overrides = _rules(inner, Page(TIMERS, {}))
    surroundings.account_rest(entry)
    entry.drop_rest()
    if gone or given is None:
        return []
    for page in overrides.values():  # an override says only what it changes
        page.pop("include_unrealized", None)
        page.pop("session", None)
    made: dict[str, Any] = {"name": str(given)}
    put(made, "rules", {name: page for name, page in overrides.items() if page} or None)
    return [made]


def _ordered(document: dict[str, Any]) -> dict[str, Any]:
    order = (
        "version",
        "gateway",
        "accounts",
        "trading_day",
        "sessions",
        "holidays",
        "rules",
        "alerts",
        "logging",
    )
    return {key: document[key] for key in order if key in document}
