"""All rules on one page: number, name, how each is made. `build` makes those that an account keeps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from msgspec import Struct

from actors.messages import Mode
from actors.trading_day import TradingCalendar
from config.settings import Rules, Settings

from .auth_loss_guard import AuthLossGuardRule
from .contract_limits import MaxContractsPerInstrumentRule, MaxContractsRule
from .daily_pnl import DailyRealizedLossRule, DailyRealizedProfitRule
from .loss_cooldown import LossCooldownRule
from .loss_streak import LossStreakRule
from .no_stop_loss_grace import NoStopLossGraceRule
from .position_pnl import DailyUnrealizedLossRule, MaxUnrealizedProfitRule
from .resting_stops import RestingStopsRule
from .rule import AnyRule
from .session_block_outside import SessionBlockOutsideRule
from .symbol_blocks import SymbolBlocksRule
from .trade_frequency import TradeFrequencyRule
from .trade_management import TradeManagementRule
from .unknown_contract import UnknownContractRule


class Ground(Struct, frozen=True):
    """What rules are made from beside their own configuration."""

    rules: Rules
    calendar: TradingCalendar


class Entry(Struct, frozen=True):
    """One row of the table."""

    number: str
    make: Callable[[Any, Ground], object]
    """From the rule's own page of the configuration; each takes the page of its own type."""


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
    "trade_frequency_limit": Entry(
        "RULE-006", lambda config, ground: TradeFrequencyRule(config, ground.calendar)
    ),
    "cooldown_after_loss": Entry(
        "RULE-007", lambda config, ground: LossCooldownRule(config, ground.calendar)
    ),
    "no_stop_loss_grace": Entry(
        "RULE-008", lambda config, ground: NoStopLossGraceRule(config, ground.calendar)
    ),
    "session_block_outside": Entry(
        "RULE-009", lambda config, ground: SessionBlockOutsideRule(config, ground.calendar)
    ),
    "auth_loss_guard": Entry("RULE-010", lambda config, ground: AuthLossGuardRule(config)),
    "symbol_blocks": Entry("RULE-011", lambda config, ground: SymbolBlocksRule(config)),
    "trade_management": Entry(
        "RULE-012", lambda config, ground: TradeManagementRule(config, _blocked(ground.rules))
    ),
    "daily_realized_profit": Entry(
        "RULE-013", lambda config, ground: DailyRealizedProfitRule(config, ground.calendar)
    ),
    "loss_streak": Entry("addition", lambda config, ground: LossStreakRule(config, ground.calendar)),
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
    ground = Ground(rules, calendar)
    built = list[BuiltRule]()
    for name, entry in TABLE.items():
        config = getattr(rules, name)
        if config.mode != "off":
            built.append(_built(entry.make(config, ground), Mode(config.mode), entry.number))
    return tuple(built)


def build_unnumbered(settings: Settings, account_name: str) -> tuple[BuiltRule, ...]:
    """What guards beside the rules and is no rule to people: `unknown_contract` and `resting_stops`."""
    rules = settings.for_account(account_name)
    built = [_built(UnknownContractRule(settings.unknown_contract), Mode.ARMED, "")]
    if settings.resting_stops != "ignore":
        position, day = rules.daily_unrealized_loss, rules.daily_realized_loss
        resting = RestingStopsRule(
            settings.resting_stops,
            position.limit if position.mode == "armed" else None,
            day.limit if day.mode == "armed" else None,
        )
        built.append(_built(resting, Mode.ARMED, ""))
    return tuple(built)


def _blocked(rules: Rules) -> tuple[str, ...]:
    """Roots in which nothing is placed."""
    return rules.symbol_blocks.blocked if rules.symbol_blocks.mode == "armed" else ()


def _built(made: object, mode: Mode, number: str) -> BuiltRule:
    # Each machine has a state type of its own; whoever hosts any of them only passes the state through.
    rule = cast(AnyRule, made)
    return BuiltRule(rule.name, mode, rule, rule.manages, number)
