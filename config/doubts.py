"""What can be used and is probably not meant: warnings of `config check`."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from config import instruments
from config.relations import Effective
from config.schema_errors import Problem, Steps
from config.settings import Settings
from config.values import close_match

ALERT_KINDS = (
    *("fill", "breach", "demand", "enforcement", "lockout", "unlock"),
    *("reset", "alert", "admin", "restart", "link"),
)
_OFF_UNLESS_SAID = ("no_stop_loss_grace", "trade_management", "loss_streak")


def warnings_of(
    settings: Settings, accounts: Iterable[Effective], written: Mapping[str, Any]
) -> Iterator[Problem]:
    """What can be used and is probably not meant."""
    for name, session in settings.sessions.items():
        if session.overnight and session.end > session.start:
            yield Problem(
                ("sessions", name, "overnight"),
                f"sessions.{name} ends on the day it starts: overnight has no effect",
                "write overnight: false",
            )
    if settings.process.transport == "fast":
        yield Problem(
            ("process", "transport"),
            "this version has no transport of its own: requests go by the stock one",
            "write transport: stock",
        )
    for index, alert in enumerate(settings.alerts):
        for kind in alert.only:
            if kind not in ALERT_KINDS:
                path: Steps = ("alerts", index, "only")
                yield Problem(path, f"no alert is of kind {kind!r}", f"kinds are {', '.join(ALERT_KINDS)}")
    for account in accounts:
        yield from _unknown_roots(account)
    rules = written.get("rules")
    for name, rule in rules.items() if isinstance(rules, Mapping) else ():
        if name in _OFF_UNLESS_SAID and isinstance(rule, Mapping) and not {"mode", "enabled"} & set(rule):
            yield Problem(
                ("rules", name), f"rules.{name} has no mode and is off", "write mode: armed or mode: off"
            )


def _unknown_roots(account: Effective) -> Iterator[Problem]:
    rules = account.rules
    each, outside = rules.max_contracts_per_instrument, rules.session_block_outside
    named = [(account.where(each.name, "limits", root), root) for root in each.limits]
    named += [(account.where(outside.name, "by_root", root), root) for root in outside.by_root]
    named += [
        (account.where("symbol_blocks", "blocked", index), pattern)
        for index, pattern in enumerate(rules.symbol_blocks.blocked)
    ]
    for path, root in named:
        if instruments.is_glob(root):
            if not any(instruments.matches(known, root) for known in instruments.TICKS):
                yield Problem(path, f"{root} matches no known product", "check the spelling")
        elif not instruments.is_known(root):
            near = close_match(root, instruments.TICKS)
            yield Problem(
                path, f"{root} is no known product", f"did you mean {near}?" if near else "check the spelling"
            )
