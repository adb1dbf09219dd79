"""All rules on one page: number, name, how each is made. `build` makes those that an account keeps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, cast

from msgspec import Struct

from actors.messages import Mode
from actors.trading_day import TradingCalendar
from config.settings import Rules, Settings

from .contract_limits import MaxContractsPerInstrumentRule, MaxContractsRule
from .daily_pnl import DailyRealizedLossRule, DailyRealizedProfitRule
from .position_pnl import DailyUnrealizedLossRule, MaxUnrealizedProfitRule
from .rule import AnyRule


class Ground(Struct, frozen=True):
    """What rules are made from beside their own configuration."""

    rules: Rules
    settings: Settings
    calendar: TradingCalendar


class _Made(Protocol):
    name: str
    manages: bool


class Entry(Struct, frozen=True):
    """One row of the table."""

    number: str
    make: Callable[[Any, Ground], object]


TABLE: dict[str, Entry] = {
    "max_contracts": Entry("RULE-001", lambda config, ground: MaxContractsRule(config)),
    "max_contracts_per_instrument": Entry(
        "RULE-002", lambda config, ground: MaxContractsPerInstrumentRule(config)
    ),
    "daily_realized_loss": Entry(
        "RULE-003", lambda config, ground: DailyRealizedLossRule(config, ground.calendar)
    ),
    "daily_unrealized_loss": Entry(
        "RULE-004", lambda config, ground: DailyUnrealizedLossRule(config, ground.calendar)
    ),
    "max_unrealized_profit": Entry(
        "RULE-005", lambda config, ground: MaxUnrealizedProfitRule(config, ground.calendar)
    ),
    "daily_realized_profit": Entry(
        "RULE-013", lambda config, ground: DailyRealizedProfitRule(config, ground.calendar)
    ),
}
"""Rule by its name in the configuration, which is also the attribute of `Rules`."""

ALL: tuple[str, ...] = tuple(TABLE)


class BuiltRule(Struct, frozen=True):
    """A rule made for one account, ready for an actor to host."""

    name: str
    mode: Mode
    rule: AnyRule
    manages: bool = False
    number: str = ""


def build(settings: Settings, account_name: str, calendar: TradingCalendar) -> tuple[BuiltRule, ...]:
    """Every rule that the account's configuration does not leave off, in the order of the table."""
    rules = settings.for_account(account_name)
    ground = Ground(rules, settings, calendar)
    built = list[BuiltRule]()
    for name, entry in TABLE.items():
        config = getattr(rules, name)
        if config.mode != "off":
            built.append(_built(entry.make(config, ground), Mode(config.mode), entry.number))
    return tuple(built)


def _built(made: object, mode: Mode, number: str) -> BuiltRule:
    # Each machine has its own state type; whoever hosts any of them only passes the state through.
    rule = cast(AnyRule, made)
    return BuiltRule(rule.name, mode, rule, cast(_Made, made).manages, number)
