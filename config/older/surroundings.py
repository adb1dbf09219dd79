"""What the older files said beside the rules: login, accounts, day, session, holidays, logs."""

from __future__ import annotations

import re
from typing import Any

from config.older.pages import CONVERTED, DROPPED, Page, number, put, seconds
from config.values import WEEKDAYS

_NAME = re.compile(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)\}?")
HUBS = {
    "api.topstepx.com": ("https://rtc.topstepx.com/hubs/user", "https://rtc.topstepx.com/hubs/market"),
}
_LOGIN = ("topstepx", "projectx")

DROPPED_GENERAL = {
    "instruments": "the account is watched, not a list of products",
    "logging.log_to_file": "logs are always written",
    "logging.log_directory": "logs are in the home",
    "database.path": "the store is in the home",
    "database.backup_enabled": "a backup is made every day",
    "database.backup_interval_hours": "a backup is made every day",
    "database.max_backups": "seven backups are kept",
}
DROPPED_TIMERS = {
    "daily_reset.enabled": "there always is a reset",
    "daily_reset.reset_actions": "a reset always starts from zero and ends what lasts until it",
    "lockout_durations.hard_lockout.daily_realized_loss": "this lockout always lasts until the reset",
    "lockout_durations.hard_lockout.daily_realized_profit": "this lockout always lasts until the reset",
    "lockout_durations.hard_lockout.session_block_outside": "this lockout lasts until the session starts",
    "advanced.check_interval": "time is looked at all the time",
    "advanced.auto_unlock": "a lockout ends by itself when it is over",
    "advanced.dst": "clock changes are always followed",
}
DROPPED_API = {
    "environment": "the addresses say which gateway it is",
    "connection": "connecting again, keeping alive and repeating are the guard's own",
    "rate_limit": "requests are counted by the minute, with slots kept for protective calls",
    "error_handling": "what is repeated follows from what a call is for",
    "cache": "what is read is kept as long as it is true",
    "logging": "logging has one page for all parts",
    "advanced": "the connection's details are the guard's own",
}
DROPPED_ACCOUNT = {
    "name": "accounts go by the name or id that the gateway gives",
    "account_type": "the gateway knows which accounts are simulated",
    "description": "the file takes comments",
    "nickname": "accounts go by the name or id that the gateway gives",
}


def general(old: Page, document: dict[str, Any]) -> None:
    level = old.take("logging.level", "logging.level", "lower case")
    put(document, "logging.level", None if level is None else str(level).lower())
    put(document, "logging.rotate.size_mb", old.take("logging.max_log_size_mb", "logging.rotate.size_mb"))
    days = old.take("logging.log_retention_days", "logging.keep", "a duration")
    put(document, "logging.keep", None if days is None else f"{days}d")
    _alerts(old.part("notifications"), document)
    for key, why in DROPPED_GENERAL.items():
        old.drop(key, why)


def _alerts(old: Page, document: dict[str, Any]) -> None:
    for name, keys, wanted in (
        ("discord", ("webhook_url",), "RISKD_DISCORD_URL"),
        ("telegram", ("bot_token", "chat_id"), "RISKD_TELEGRAM_URL"),
    ):
        on = old.take(f"{name}.enabled", "alerts", "one entry for each target that is on")
        for key in keys:
            old.take(
                f"{name}.{key}", "alerts", f"a secret is not kept in the file: put the address into {wanted}"
            )
        if on:
            document.setdefault("alerts", []).append({"to": {"env": wanted}})


def login(pages: list[Page], document: dict[str, Any], missing: list[str]) -> None:
    """Where the gateway is and how to log in, from whichever file says it first."""
    gateway: dict[str, Any] = {"kind": "projectx"}
    for old in pages:
        for name in _LOGIN:
            part = old.part(name)
            put_first(gateway, "username", part.take("username", "gateway.username"))
            key = part.take("api_key", "gateway.api_key", "a secret is named, not written")
            put_first(gateway, "api_key", None if key is None else {"env": _named(key)})
            put_first(gateway, "api_url", part.take("api_url", "gateway.api_url"))
            part.take("websocket_url", "gateway.user_hub_url", "two hubs have an address each")
            part.drop("environment", DROPPED_API["environment"])
    gateway.setdefault("username", "${PROJECT_X_USERNAME}")
    gateway.setdefault("api_key", {"env": "PROJECT_X_API_KEY"})
    url = gateway.setdefault("api_url", "https://api.topstepx.com/api")
    hubs = HUBS.get(re.sub(r"^https?://([^/]+).*$", r"\1", str(url)))
    if hubs is None:
        missing.append(
            f"the addresses of the hubs of {url}: add gateway.user_hub_url and gateway.market_hub_url"
        )
    else:
        gateway["user_hub_url"], gateway["market_hub_url"] = hubs
    document["gateway"] = gateway


def put_first(into: dict[str, Any], key: str, value: Any) -> None:
    if value is not None and key not in into:
        into[key] = value


def _named(written: Any) -> str:
    match = _NAME.fullmatch(str(written).strip())
    return match[1] if match else "PROJECT_X_API_KEY"


def api(old: Page, document: dict[str, Any]) -> None:
    timeout = old.take("connection.request_timeout", "gateway.request_timeout", "a duration")
    put(document, "gateway.request_timeout", seconds(timeout))
    most = old.take("rate_limit.requests.per_minute", "gateway.budget", "requests per 60s")
    if most is not None:
        reserved = min(40, max(1, int(number(most)) // 5))
        document["gateway"]["budget"] = {"requests": most, "per": "60s", "reserved": reserved}
    for key, why in DROPPED_API.items():
        old.drop(key, why)


def day(risk_rules: Page, timers: Page, general_page: Page, document: dict[str, Any]) -> None:
    """The reset and its zone: what the timers say, else a daily rule, else the general zone."""
    zone = timers.take("daily_reset.timezone", "trading_day.timezone")
    reset = timers.take("daily_reset.time", "trading_day.reset")
    for name in ("daily_realized_loss", "daily_realized_profit"):
        reset = reset or risk_rules.look(f"{name}.reset_time")
        zone = zone or risk_rules.look(f"{name}.timezone")
    zone = zone or general_page.look("timezone")
    used = "trading_day.timezone"
    general_page.take("timezone", used, "the zone of the reset, where nothing nearer says one")
    put(document, "trading_day.timezone", zone)
    put(document, "trading_day.reset", reset)


def session(
    rule: Page, timers: Page, monday: int | None, document: dict[str, Any], missing: list[str]
) -> None:
    """`sessions.main`, from the timers' session hours, else from the rule itself."""
    old = timers.part("session_hours")
    start = old.take("start", "sessions.main.start") or _first(
        rule, "start_time", "global_session.start", "allowed_hours.start"
    )
    end = old.take("end", "sessions.main.end") or _first(
        rule, "end_time", "global_session.end", "allowed_hours.end"
    )
    zone = old.take("timezone", "sessions.main.timezone") or _first(
        rule, "timezone", "global_session.timezone"
    )
    if old.take("pre_market.enabled", "sessions.main.start", "an earlier start"):
        start = old.take("pre_market.start", "sessions.main.start", "an earlier start")
    if old.take("after_hours.enabled", "sessions.main.end", "a later end"):
        end = old.take("after_hours.end", "sessions.main.end", "a later end")
    old.drop("pre_market", "trading before the session is off")
    old.drop("after_hours", "trading after the session is off")
    if old.take("enabled", "rules.session_block_outside.mode", "off where hours were not kept") is False:
        put(document, "rules.session_block_outside.mode", "off")
    if start is not None and end is not None:
        main = {"start": start, "end": end, "timezone": zone}
        document["sessions"] = {"main": {key: value for key, value in main.items() if value is not None}}
        days = old.take("allowed_days", "sessions.main.days", "weekdays by name")
        if isinstance(days, list) and days:
            put(document, "sessions.main.days", weekdays(days, monday, missing))


def _first(page: Page, *keys: str) -> Any:
    return next((value for key in keys if (value := page.look(key)) is not None), None)


def weekdays(numbers: list[Any], monday: int | None, missing: list[str]) -> list[str] | None:
    """A 0 in the list means that Monday is 0, a 7 that Monday is 1; otherwise it has to be said."""
    if not all(isinstance(number, int) for number in numbers):
        return [str(number).lower()[:3] for number in numbers]
    if monday is None and (0 in numbers) != (7 in numbers):
        monday = 0 if 0 in numbers else 1
    if monday is None or not all(0 <= number - monday <= 6 for number in numbers):
        missing.append(f"which day {numbers[0]} is in allowed_days {numbers}: say --monday 0 or --monday 1")
        return None
    return [WEEKDAYS[number - monday] for number in numbers]


def holidays(timers: Page, own: Page, document: dict[str, Any]) -> None:
    """Closed dates and early closes, from the timers file and from a file of their own."""
    closed, early = list[str](), list[dict[str, Any]]()
    for page in (timers.part("holidays"), own, own.part("holidays")):
        on = page.take("enabled", "holidays.calendar", "cme or none")
        put(document, "holidays.calendar", None if on is None else "cme" if on else "none")
        for key in list(page.values):
            value = page.values[key]
            if key in ("early_close", "early_closes"):
                page.take(str(key), "holidays.early_closes", "close_time is close")
                early += (
                    [_early(one) for one in value if isinstance(one, dict)] if isinstance(value, list) else []
                )
            elif key == "dates" and isinstance(value, dict):
                for year, dates in value.items():
                    page.note(f"dates.{year}", CONVERTED, "holidays.closed", "one list for all years")
                    closed += _dates(dates)
            elif isinstance(value, list) and (key in ("dates", "holidays", "closed") or str(key).isdigit()):
                page.note(str(key), CONVERTED, "holidays.closed", "one list for all years")
                closed += _dates(value)
    if closed:
        put(document, "holidays.closed", sorted(set(closed)))
    if early:
        put(document, "holidays.early_closes", early)


def _dates(found: Any) -> list[str]:
    listed = found if isinstance(found, list) else [found]
    return [str(one.get("date") if isinstance(one, dict) else one) for one in listed if one is not None]


def _early(one: dict[str, Any]) -> dict[str, Any]:
    made = {"date": str(one.get("date")), "close": one.get("close_time", one.get("close"))}
    reason = one.get("reason", one.get("name"))
    return made if reason is None else {**made, "reason": reason}


def timers_rest(timers: Page) -> None:
    for key, why in DROPPED_TIMERS.items():
        timers.drop(key, why)


def account_rest(entry: Page) -> None:
    for key, why in DROPPED_ACCOUNT.items():
        entry.drop(key, why)


def left_out(entry: Page) -> bool:
    """Whether an account was switched off; it is then not listed."""
    if entry.look("enabled") is False:
        entry.note("enabled", DROPPED, "", "an account that is not guarded is not listed")
        return True
    entry.take("enabled", "accounts", "a listed account is guarded")
    return False
