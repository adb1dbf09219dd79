"""What the values of a configuration must be to each other."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from config.fields import is_loopback
from config.schema_errors import Problem, Steps
from config.settings import Rules, Settings
from config.values import close_match, dollars_text, duration_text, time_text


@dataclass(slots=True)
class Effective:
    """The rules of one account (or of all), and where its overrides stand."""

    rules: Rules
    base: Steps = ()
    overrides: Mapping[str, Any] = field(default_factory=dict)

    def where(self, rule: str, *keys: str | int) -> Steps:
        """The path of a rule's key: the account's override where there is one, else the rule for all."""
        inner: Any = self.overrides
        for key in (rule, *keys):
            if isinstance(inner, (list, tuple)):
                break
            if not isinstance(inner, Mapping) or key not in inner:
                return ("rules", rule, *keys)
            inner = inner[key]
        return (*self.base, "rules", rule, *keys)


def _cannot(path: Steps, why: str, hint: str, *others: Steps) -> Problem:
    return Problem(path, f"cannot use {'.'.join(map(str, path))}: {why}", hint, others=others)


def settings_problems(settings: Settings) -> Iterator[Problem]:
    """Relations outside the rules."""
    yield from _gateway_problems(settings)
    yield from _account_problems(settings)
    for name, session in settings.sessions.items():
        if session.end <= session.start and not session.overnight:
            yield _cannot(
                ("sessions", name, "end"),
                f"{time_text(session.end)} is not after the start {time_text(session.start)}",
                "write overnight: true if it ends on the next day",
                ("sessions", name, "start"),
                ("sessions", name, "overnight"),
            )
    yield from _double_dates(settings)


def _gateway_problems(settings: Settings) -> Iterator[Problem]:
    gateway = settings.gateway
    if gateway.kind == "projectx":
        for key in ("api_url", "user_hub_url", "market_hub_url", "username", "api_key"):
            if getattr(gateway, key) is None:
                path: Steps = ("gateway", key)
                yield Problem(
                    path,
                    f"cannot do without gateway.{key}: it is missing",
                    f"add {key}:",
                    others=(("gateway", "kind"),),
                )
    if gateway.budget.reserved >= gateway.budget.requests:
        yield _cannot(
            ("gateway", "budget", "reserved"),
            f"it leaves nothing of the {gateway.budget.requests} requests",
            "write a smaller number",
            ("gateway", "budget", "requests"),
        )
    # A simulator is started on loopback and its addresses replace what is written.
    local = gateway.kind == "simulator" or all(is_loopback(url) for url in gateway.urls)
    if settings.chaos.enabled and not local:
        yield _cannot(
            ("chaos", "enabled"),
            "faults may be provoked on a loopback gateway only",
            "remove it, or use kind: simulator",
            ("gateway",),
        )


def _account_problems(settings: Settings) -> Iterator[Problem]:
    if settings.accounts == "all":
        return
    if not settings.accounts:
        yield _cannot(("accounts",), "the list is empty", "list the accounts to guard, or write all")
    seen: set[str] = set()
    for index, account in enumerate(settings.accounts):
        if account.name in seen:
            yield _cannot(("accounts", index, "name"), f"{account.name} is listed twice", "keep one")
        seen.add(account.name)


def _double_dates(settings: Settings) -> Iterator[Problem]:
    seen = set()
    for index, early in enumerate(settings.holidays.early_closes):
        if early.date in seen:
            yield _cannot(
                ("holidays", "early_closes", index, "date"), f"{early.date} is listed twice", "keep one"
            )
        seen.add(early.date)


def rules_problems(settings: Settings, accounts: Iterable[Effective]) -> Iterator[Problem]:
    """Relations between and within the rules, for every account."""
    for account in accounts:
        yield from _sums(account)
        yield from _frequency(account)
        yield from _tiers(account)
        yield from _scopes(account)
        yield from _sessions(settings, account)
        yield from _without_effect(account)
        yield from _resting_stops(settings, account)


def _sums(account: Effective) -> Iterator[Problem]:
    rules = account.rules
    single, daily = rules.daily_unrealized_loss, rules.daily_realized_loss
    if single.mode == daily.mode == "armed" and abs(single.limit) >= abs(daily.limit):
        yield _cannot(
            account.where("daily_unrealized_loss", "limit"),
            f"{dollars_text(single.limit)} is not nearer than the day's limit {dollars_text(daily.limit)}",
            "write a smaller loss, or a larger daily_realized_loss.limit",
            account.where("daily_realized_loss", "limit"),
        )
    take, enough = rules.max_unrealized_profit, rules.daily_realized_profit
    if take.mode == enough.mode == "armed" and take.target > enough.target:
        yield _cannot(
            account.where("max_unrealized_profit", "target"),
            f"{dollars_text(take.target)} is beyond the day's target {dollars_text(enough.target)}",
            "write a smaller target, or a larger daily_realized_profit.target",
            account.where("daily_realized_profit", "target"),
        )


def _frequency(account: Effective) -> Iterator[Problem]:
    rule = account.rules.trade_frequency_limit
    limits = [(key, getattr(rule, key)) for key in ("per_minute", "per_hour", "per_session")]
    written = [(key, limit) for key, limit in limits if limit is not None]
    for (shorter, few), (longer, many) in pairwise(written):
        if many < few:
            yield _cannot(
                account.where(rule.name, longer),
                f"{many} is less than {shorter}: {few}, which could then never be reached",
                f"write {few} or more, or null",
                account.where(rule.name, shorter),
            )


def _tiers(account: Effective) -> Iterator[Problem]:
    tiers = account.rules.cooldown_after_loss.tiers
    for index, (above, below) in enumerate(pairwise(tiers), 1):
        if below.loss >= above.loss:
            yield _cannot(
                account.where("cooldown_after_loss", "tiers", index, "loss"),
                f"{dollars_text(below.loss)} is not deeper than {dollars_text(above.loss)} before it",
                "order the tiers from the smallest loss to the largest",
            )
        if below.cooldown <= above.cooldown:
            yield _cannot(
                account.where("cooldown_after_loss", "tiers", index, "cooldown"),
                f"{duration_text(below.cooldown)} is not longer than {duration_text(above.cooldown)} above",
                "a deeper loss earns a longer rest",
            )


def _scopes(account: Effective) -> Iterator[Problem]:
    rules = account.rules
    for rule in (rules.daily_unrealized_loss, rules.max_unrealized_profit):
        whole = rule.scope == "account"
        if rule.action is not None and (rule.action == "flatten") != whole:
            choices = (
                "flatten"
                if whole
                else "close or breakeven"
                if rule.name == "max_unrealized_profit"
                else "close"
            )
            yield _cannot(
                account.where(rule.name, "action"),
                f"{rule.action} does not go with scope: {rule.scope}",
                f"write {choices}, or scope: {'position' if whole else 'account'}",
                account.where(rule.name, "scope"),
            )


def _sessions(settings: Settings, account: Effective) -> Iterator[Problem]:
    rule = account.rules.session_block_outside
    if rule.mode == "off":
        return
    named = [
        (("session",), rule.session),
        *((("by_root", root), name) for root, name in rule.by_root.items()),
    ]
    for keys, name in named:
        if name not in settings.sessions:
            near = close_match(name, settings.sessions)
            yield _cannot(
                account.where(rule.name, *keys),
                f"there is no session {name!r}",
                f"did you mean {near}?" if near else f"add sessions: {{{name}: {{start: ..., end: ...}}}}",
                ("sessions", name),
            )


def _without_effect(account: Effective) -> Iterator[Problem]:
    rules = account.rules
    each, often, manage = (
        rules.max_contracts_per_instrument,
        rules.trade_frequency_limit,
        rules.trade_management,
    )
    empty = {
        each.name: (
            each.default_limit is None and not each.limits and each.unknown != "block",
            "it has no limit",
            "write default_limit or limits",
        ),
        often.name: (
            often.per_minute is often.per_hour is often.per_session is None,
            "it has no limit",
            "write per_minute, per_hour or per_session",
        ),
        "cooldown_after_loss": (
            not rules.cooldown_after_loss.tiers,
            "it has no tiers",
            "write tiers: [{loss: -100, cooldown: 5m}]",
        ),
        "symbol_blocks": (
            not rules.symbol_blocks.blocked,
            "nothing is blocked",
            "write blocked: [CL], or mode: off",
        ),
        manage.name: (
            not (manage.stop_loss or manage.take_profit or manage.breakeven or manage.trailing),
            "it has no action",
            "write stop_loss, take_profit, breakeven or trailing, or mode: off",
        ),
    }
    keys = {"cooldown_after_loss": ("tiers",), "symbol_blocks": ("blocked",)}
    for rule in rules.each():
        nothing, why, hint = empty.get(rule.name, (False, "", ""))
        if rule.mode != "off" and nothing:
            yield _cannot(
                account.where(rule.name, *keys.get(rule.name, ())), why, hint, account.where(rule.name)
            )
    move = manage.breakeven
    if move is not None and move.offset_ticks >= move.after_ticks:
        yield _cannot(
            account.where(manage.name, "breakeven", "offset_ticks"),
            f"{move.offset_ticks} ticks beyond entry is not behind a price {move.after_ticks} ticks beyond",
            "write less than after_ticks",
            account.where(manage.name, "breakeven", "after_ticks"),
        )


def _resting_stops(settings: Settings, account: Effective) -> Iterator[Problem]:
    losses = (account.rules.daily_realized_loss, account.rules.daily_unrealized_loss)
    if settings.resting_stops == "require" and not any(rule.mode == "armed" for rule in losses):
        who = f" for account {account.base[-1]}" if account.base else ""
        yield _cannot(
            ("resting_stops",),
            f"no loss limit is armed{who} that says where the stop belongs",
            "arm daily_unrealized_loss or daily_realized_loss, or write alert",
            *(account.where(rule.name, "mode") for rule in losses),
            *(account.where(rule.name) for rule in losses),
        )
