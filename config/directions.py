"""For every key of the schema: what makes it stricter. A key without a row does not exist for the guard.

`a+b+c` are keys that mean something only together; a change is named after the first. A rule that is not
armed protects nothing, so what its other keys say is free until it is.
"""

from __future__ import annotations

from config.settings import Rules
from config.strictness import (
    ADDED,
    ALERTS,
    BLOCKED,
    BREAKEVEN,
    DELAY,
    EARLIER_CLOSES,
    FREE,
    LARGER,
    LOTS,
    NEARER_LOSS,
    REST,
    SCOPED,
    SESSION,
    SMALLER,
    SWITCHED_OFF,
    SWITCHED_ON,
    TICKS,
    TIERS,
    TRAILING,
    UNKNOWN,
    Direction,
    words,
)

_LOUDER = words("ignore", "info", "warning", "error", "critical")
_EVERY_RULE = {"mode": words("off", "shadow", "armed"), "alert_at": SMALLER}

DIRECTIONS: dict[str, Direction] = {
    "version": FREE,
    # Another gateway or login is another account: the one guarded now would be left alone.
    "gateway.kind+api_url+user_hub_url+market_hub_url+username+api_key": UNKNOWN,
    "gateway.request_timeout": UNKNOWN,
    "gateway.reconcile_every": SMALLER,
    "gateway.budget.requests": UNKNOWN,
    "gateway.budget.per": UNKNOWN,
    "gateway.budget.reserved": LARGER,
    "accounts": UNKNOWN,
    # Moves the end of every lockout until the reset, and what counts for the day.
    "trading_day.reset+timezone": UNKNOWN,
    "sessions": SESSION,
    # A closed date shuts the session and lets the day, with its losses and profits, run on.
    "holidays.calendar": UNKNOWN,
    "holidays.closed": UNKNOWN,
    "holidays.early_closes": EARLIER_CLOSES,
    # An older price measures a position that a stricter age leaves unmeasured.
    "quotes.stale_after": UNKNOWN,
    "quotes.blind_after": SMALLER,
    "unknown_contract": words("alert", "close"),
    "resting_stops": words("ignore", "alert", "require"),
    "rules.max_contracts.limit": SMALLER,
    "rules.max_contracts.count": words("net", "gross"),
    "rules.max_contracts.action": words("reduce", "close", "flatten"),
    "rules.max_contracts_per_instrument.limits+default_limit+unknown": LOTS,
    "rules.max_contracts_per_instrument.action": words("reduce", "close"),
    "rules.daily_realized_loss.limit": NEARER_LOSS,
    "rules.daily_realized_loss.include_unrealized": SWITCHED_ON,
    "rules.daily_unrealized_loss.limit": NEARER_LOSS,
    "rules.daily_unrealized_loss.scope+action": SCOPED,
    "rules.daily_unrealized_loss.lockout": REST,
    "rules.max_unrealized_profit.target": SMALLER,
    "rules.max_unrealized_profit.scope+action": SCOPED,
    "rules.max_unrealized_profit.lockout": REST,
    "rules.trade_frequency_limit.per_minute": SMALLER,
    "rules.trade_frequency_limit.per_hour": SMALLER,
    "rules.trade_frequency_limit.per_session": SMALLER,
    # Every round turn has an entry, and every entry is an execution.
    "rules.trade_frequency_limit.count": words("round_turns", "entries", "executions"),
    "rules.trade_frequency_limit.cooldown.per_minute": REST,
    "rules.trade_frequency_limit.cooldown.per_hour": REST,
    "rules.trade_frequency_limit.cooldown.per_session": REST,
    "rules.trade_frequency_limit.flatten": SWITCHED_ON,
    "rules.cooldown_after_loss.tiers": TIERS,
    "rules.cooldown_after_loss.flatten": SWITCHED_ON,
    "rules.no_stop_loss_grace.grace": SMALLER,
    "rules.no_stop_loss_grace.action": FREE,  # there is only one
    "rules.no_stop_loss_grace.lockout": REST,
    "rules.session_block_outside.session": UNKNOWN,
    "rules.session_block_outside.by_root": UNKNOWN,
    "rules.session_block_outside.respect_holidays": SWITCHED_ON,
    "rules.session_block_outside.close_grace": SMALLER,
    "rules.auth_loss_guard.check_every": SMALLER,
    "rules.auth_loss_guard.on_disconnect": _LOUDER,
    "rules.auth_loss_guard.on_auth_failure": _LOUDER,
    "rules.auth_loss_guard.repeat_every": SMALLER,
    "rules.auth_loss_guard.unlock": words("auto", "admin"),
    "rules.symbol_blocks.blocked": BLOCKED,
    "rules.trade_management.stop_loss": TICKS,
    "rules.trade_management.take_profit": TICKS,
    "rules.trade_management.breakeven": BREAKEVEN,
    "rules.trade_management.trailing": TRAILING,
    "rules.daily_realized_profit.target": SMALLER,
    "rules.daily_realized_profit.include_unrealized": SWITCHED_ON,
    "rules.daily_realized_profit.message": FREE,
    "rules.loss_streak.losses": SMALLER,
    "rules.loss_streak.lockout": REST,
    "tamper.admin_unlock": words("allowed", "never"),
    "tamper.loosen_after": DELAY,
    "tamper.witness": ADDED,
    # Viewers read; traders act towards safety only.
    "control.traders": FREE,
    "control.viewers": FREE,
    "alerts": ALERTS,
    # What is written down about the guard does not change what it does.
    "logging.level": FREE,
    "logging.json_lines": FREE,
    "logging.modules": FREE,
    "logging.rotate.size_mb": FREE,
    "logging.rotate.every": FREE,
    "logging.keep": FREE,
    "logging.compress": FREE,
    "metrics.port": FREE,
    # Too patient leaves a stuck guard, too strict never lets it run.
    "watchdog.heartbeat_deadline": UNKNOWN,
    "watchdog.memory_limit_mb": UNKNOWN,
    "process.pin": FREE,
    "process.transport": UNKNOWN,
    "chaos.enabled": SWITCHED_OFF,
}


def _spelled_out() -> dict[str, tuple[tuple[str, ...], Direction]]:
    """Every key by itself, with the keys it belongs together with."""
    found: dict[str, tuple[tuple[str, ...], Direction]] = {}
    for name, page in Rules.model_fields.items():
        known = type(page.default).model_fields
        for key, direction in _EVERY_RULE.items():
            if key in known:
                found[f"rules.{name}.{key}"] = ((key,), direction)
    for key, direction in DIRECTIONS.items():
        above, _, last = key.rpartition(".")
        names = tuple(last.split("+"))
        for name in names:
            found[f"{above}.{name}" if above else name] = (names, direction)
    return found


ROWS = _spelled_out()
"""Dotted key -> the keys that change with it, and their direction."""
