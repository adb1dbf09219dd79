"""The older rules, one function each: from what the older files said to the rule's page of today."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from config.older.pages import DROPPED, Page, number, put, seconds

_ALWAYS = {
    "close_all": "what a rule closes follows from its action",
    "close_position": "what a rule closes follows from its action",
    "close_immediately": "a blocked product is always closed at once",
    "close_existing": "a position in a blocked product is always closed",
    "cancel_orders": "orders are cancelled with what is closed",
    "lockout_type": "each rule has its kind of lockout",
    "lockout_permanently": "a lockout of this rule ends with its condition",
    "lockout_until": "this lockout ends with the reset",
    "lockout_outside_session": "outside the session the account is always locked",
    "close_positions_at_session_end": "what is open is always closed at the end of the session",
    "enforcement": "what a rule does follows from its action",
    "action": "what a rule does follows from its scope",
    "check_interval_seconds": "rules judge every trade and price as it comes",
    "reason": "the reason is told from what was seen",
    "log_level": "levels are set under logging",
}


def rule(old: Page, timers: Page, name: str) -> dict[str, Any]:
    """One rule converted. What it needs of the timers file is taken from there."""
    new: dict[str, Any] = {}
    enabled = old.take("enabled", f"rules.{name}.mode", "armed or off")
    if enabled is not None:
        new["mode"] = "armed" if enabled else "off"
    _CONVERTERS[name](old, timers, new, f"rules.{name}")
    for key, why in _ALWAYS.items():
        old.drop(key, why)
    return new


def _loss(value: Any) -> Any:
    return None if value is None else -abs(number(value))


def _max_contracts(old: Page, timers: Page, new: dict[str, Any], to: str) -> None:
    put(new, "limit", old.take("limit", f"{to}.limit"))
    put(new, "count", old.take("count_type", f"{to}.count", "renamed"))
    if old.take("reduce_to_limit", f"{to}.action", "reduce") is True:
        new["action"] = "reduce"
    elif old.take("close_position", f"{to}.action", "close") is True:
        new["action"] = "close"


def _per_instrument(old: Page, timers: Page, new: dict[str, Any], to: str) -> None:
    put(new, "default_limit", old.take("default_limit", f"{to}.default_limit"))
    for key in ("instrument_limits", "limits"):
        put(new, "limits", old.take(key, f"{to}.limits", "renamed" if key != "limits" else ""))
    how = old.take("enforcement", f"{to}.action", "reduce or close")
    put(new, "action", None if how is None else "reduce" if how == "reduce_to_limit" else "close")
    unknown = old.take("unknown_symbol_action", f"{to}.unknown", "default_limit, or unknown: block or allow")
    if isinstance(unknown, str) and unknown.startswith("allow_with_limit"):
        new["default_limit"] = int(number(unknown.partition(":")[2]))
    elif unknown is not None:
        new["unknown"] = "allow" if str(unknown).startswith("allow") else "block"


def _daily_loss(old: Page, timers: Page, new: dict[str, Any], to: str) -> None:
    put(new, "limit", _loss(old.take("limit", f"{to}.limit")))
    put(new, "limit", _loss(old.take("loss_limit", f"{to}.limit", "losses are negative")))
    new["include_unrealized"] = False
    _reset(old)


def _daily_profit(old: Page, timers: Page, new: dict[str, Any], to: str) -> None:
    put(new, "target", old.take("target", f"{to}.target"))
    put(new, "target", old.take("profit_target", f"{to}.target", "renamed"))
    put(new, "message", old.take("message", f"{to}.message"))
    new["include_unrealized"] = False
    _reset(old)


def _reset(old: Page) -> None:
    why = "one reset for the whole account: trading_day"
    old.take("reset_time", "trading_day.reset", why)
    old.take("timezone", "trading_day.timezone", why)


def _position(key: str, other: str) -> Callable[[Page, Page, dict[str, Any], str], None]:
    def convert(old: Page, timers: Page, new: dict[str, Any], to: str) -> None:
        scope = old.take("scope", f"{to}.scope", "position or account")
        put(new, "scope", None if scope is None else "account" if scope == "total" else "position")
        for name in (key, other):
            value = old.take(name, f"{to}.{key}", "" if name == key else "renamed")
            put(new, key, _loss(value) if key == "limit" else value)
        old.drop("mode", "the action says what is done")

    return convert


def _frequency(old: Page, timers: Page, new: dict[str, Any], to: str) -> None:
    for key in ("per_minute", "per_hour", "per_session"):
        put(new, key, old.take(f"limits.{key}", f"{to}.{key}"))
        put(new, key, old.take(key, f"{to}.{key}"))
        own = old.take(f"cooldown_on_breach.{key}_breach", f"{to}.cooldown.{key}", "a duration")
        put(new, f"cooldown.{key}", seconds(own))
        breach = f"lockout_durations.timer_cooldown.trade_frequency.{key}_breach"
        put(new, f"cooldown.{key}", seconds(timers.take(breach, f"{to}.cooldown.{key}")))
    old.drop("cooldown_on_breach.enabled", "a breach always has its cooldown")
    window = old.take("time_window_minutes", f"{to}.per_hour", "the window it stood for")
    most = old.take("max_trades", f"{to}.per_hour", "the count of its window")
    if most is not None:
        put(new, "per_minute" if window == 1 else "per_hour", most)
        for key in {"per_minute", "per_hour", "per_session"} - new.keys():
            new[key] = None
    flatten = old.look("close_all")
    put(new, "flatten", flatten)


def _after_loss(old: Page, timers: Page, new: dict[str, Any], to: str) -> None:
    loss = _loss(old.take("loss_threshold", f"{to}.tiers", "one threshold becomes one tier"))
    rest = timers.take("lockout_durations.timer_cooldown.cooldown_after_loss", f"{to}.tiers", "of that tier")
    for key in ("cooldown_duration", "cooldown_seconds"):
        own = old.take(key, f"{to}.tiers", "of that tier")
        rest = own if rest is None else rest
    tiers = old.take("loss_tiers", f"{to}.tiers", "as tiers")
    if loss is not None:
        new["tiers"] = [{"loss": loss, "cooldown": seconds(rest) or "5m"}]
    elif isinstance(tiers, list):
        new["tiers"] = [
            {
                "loss": _loss(tier.get("loss", tier.get("loss_amount"))),
                "cooldown": seconds(tier.get("cooldown")),
            }
            for tier in tiers
            if isinstance(tier, dict)
        ]


def _no_stop(old: Page, timers: Page, new: dict[str, Any], to: str) -> None:
    within = old.take("require_within_seconds", f"{to}.grace", "the time to place the stop")
    grace = None
    for key in ("grace_period_seconds", "grace_period"):
        if within is not None and old.has(key):
            old.drop(key, "a second grace behind the first: the position is closed when the first is over")
        else:
            grace = old.take(key, f"{to}.grace", "a duration") or grace
    put(new, "grace", seconds(within if within is not None else grace))


def _session(old: Page, timers: Page, new: dict[str, Any], to: str) -> None:
    put(new, "respect_holidays", old.take("respect_holidays", f"{to}.respect_holidays"))
    new["session"] = "main"
    for key in ("start_time", "end_time", "timezone", "global_session", "allowed_hours"):
        if timers.has("session_hours"):
            old.drop(key, "session_hours of timers_config.yaml says it, and holds")
    for key in ("start_time", "global_session.start", "allowed_hours.start"):
        old.take(key, "sessions.main.start", "a session")
    for key in ("end_time", "global_session.end", "allowed_hours.end"):
        old.take(key, "sessions.main.end", "a session")
    for key in ("timezone", "global_session.timezone"):
        old.take(key, "sessions.main.timezone", "of the session")
    old.drop("global_session.enabled", "the rule's own mode says it")
    grace = timers.take("advanced.session_close_grace", f"{to}.close_grace", "a duration")
    put(new, "close_grace", seconds(grace))


def _auth(old: Page, timers: Page, new: dict[str, Any], to: str) -> None:
    every = old.take("check_interval_seconds", f"{to}.check_every", "a duration")
    put(new, "check_every", seconds(every))
    for key, level in (("disconnect", "warning"), ("auth_failure", "error")):
        told = old.take(f"alert_on_{key}", f"{to}.on_{key}", f"{level} or ignore")
        put(new, f"on_{key}", None if told is None else level if told else "ignore")
    ends = timers.take("lockout_durations.hard_lockout.auth_loss_guard", f"{to}.unlock", "auto or admin")
    put(new, "unlock", None if ends is None else "admin" if ends == "permanent" else "auto")


def _blocks(old: Page, timers: Page, new: dict[str, Any], to: str) -> None:
    blocked = old.take("blocked_symbols", f"{to}.blocked", "renamed")
    put(new, "blocked", blocked)
    if not blocked and new.get("mode") == "armed":
        new["mode"] = "off"
        old.note("enabled", DROPPED, "", "nothing is blocked: the rule is off")


def _management(old: Page, timers: Page, new: dict[str, Any], to: str) -> None:
    for name, part, keys in (
        (
            "auto_breakeven",
            "breakeven",
            {"profit_threshold_ticks": "after_ticks", "offset_ticks": "offset_ticks"},
        ),
        (
            "trailing_stop",
            "trailing",
            {"activation_profit_ticks": "after_ticks", "trail_ticks": "distance_ticks"},
        ),
        ("auto_stop_loss", "stop_loss", {"ticks": "ticks", "stop_loss_ticks": "ticks"}),
        ("auto_take_profit", "take_profit", {"ticks": "ticks", "take_profit_ticks": "ticks"}),
    ):
        on = old.take(f"{name}.enabled", f"{to}.{part}", "written where it is on")
        for key, fresh in keys.items():
            value = old.take(f"{name}.{key}", f"{to}.{part}.{fresh}", "renamed" if key != fresh else "")
            if on is not False:
                put(new, f"{part}.{fresh}", value)


_CONVERTERS: dict[str, Callable[[Page, Page, dict[str, Any], str], None]] = {
    "max_contracts": _max_contracts,
    "max_contracts_per_instrument": _per_instrument,
    "daily_realized_loss": _daily_loss,
    "daily_unrealized_loss": _position("limit", "loss_limit"),
    "max_unrealized_profit": _position("target", "profit_target"),
    "trade_frequency_limit": _frequency,
    "cooldown_after_loss": _after_loss,
    "no_stop_loss_grace": _no_stop,
    "session_block_outside": _session,
    "auth_loss_guard": _auth,
    "symbol_blocks": _blocks,
    "trade_management": _management,
    "daily_realized_profit": _daily_profit,
}
OLDER_RULES = tuple(_CONVERTERS)
