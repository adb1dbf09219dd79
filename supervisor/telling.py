"""Answers about what the guard tells others: metrics, alerts, and the figures of past days.

They join the others in `HANDLERS`, which is complete once this page is imported.
"""

from __future__ import annotations

from typing import Any

import msgspec

from actors.messages import HistoryKind
from actors.notices.actor import TestAlerts, Tried
from actors.notices.outbox import ANSWER_S, GAP_S
from actors.persistence.queries import DayReport, HistoryQuery, ReportQuery
from supervisor.handlers import Call, Daemon
from supervisor.metrics import MetricsServer
from supervisor.protocol import AskReport, Nothing
from supervisor.readings import GuardReadings
from supervisor.records import HANDLERS, headed
from supervisor.report import acts_of, curve_of, days_of, first_day, rules_of, totals_of
from supervisor.status import rules as rules_standing

__all__ = ["HANDLERS"]

ACTED = (HistoryKind.BREACH, HistoryKind.LOCKOUT)
ACTED_LINES = 5000
FILL_LINES = 10_000
DAY_LIMITS = ("daily_realized_loss", "daily_realized_profit")
TEST_S = GAP_S + ANSWER_S + 5.0
"""A test message may wait for the gap behind the one before it, and then for the slowest target."""


@HANDLERS.on("metrics", Nothing)
async def metrics(context: Call, request: Nothing) -> object:
    """One scrape, as the loopback port gives it."""
    daemon = context.parts
    return headed(daemon, text=MetricsServer(GuardReadings(daemon.program, daemon.process)).text())


@HANDLERS.on("alerts.test", Nothing)
async def alerts_test(context: Call, request: Nothing) -> object:
    """A test message to every target; how each of them took it."""
    tried = await context.parts.ask("notices", TestAlerts(), TEST_S)
    channels = msgspec.convert(tried, tuple[Tried, ...])
    shown = [{"to": one.to, "outcome": one.outcome, "sent": one.sent} for one in channels]
    return headed(context.parts, channels=shown)


@HANDLERS.on("report", AskReport)
async def report(context: Call, request: AskReport) -> object:
    """Past trading days in figures, and what a picture of them is drawn from."""
    daemon = context.parts
    calendar = daemon.program.calendar
    today = calendar.trading_day(daemon.now().wall)
    account = None if request.account is None else daemon.account(request.account).guarded.name
    first = first_day(request.period, today)
    days = msgspec.convert(
        await daemon.ask("persistence", ReportQuery(first, today, account)), tuple[DayReport, ...]
    )
    since = calendar.day_start(first)
    acted = await _lines(daemon, HistoryQuery(None, since, None, account, ACTED_LINES, ACTED))
    fills = HistoryQuery(HistoryKind.FILL, since, None, account, FILL_LINES)
    return headed(
        daemon,
        period=request.period,
        first=first.isoformat(),
        last=today.isoformat(),
        days=days_of(days, today),
        totals=totals_of(days),
        rules=rules_of(acted),
        acts=acts_of(acted),
        limits=_limits(daemon, account),
        curve=curve_of(await _lines(daemon, fills)) if request.period == "day" else [],
    )


async def _lines(daemon: Daemon, query: HistoryQuery) -> tuple[dict[str, Any], ...]:
    lines = await daemon.ask("persistence", query)
    assert isinstance(lines, tuple)
    return lines


def _limits(daemon: Daemon, account: str | None) -> list[dict[str, object]]:
    """The day's limits in dollars, as they are now."""
    standing = msgspec.convert(rules_standing(daemon.seen())["rules"], list[dict[str, Any]])
    return [
        {"account": rule["account"], "rule": rule["rule"], "limit": rule["limit"]}
        for rule in standing
        if rule["rule"] in DAY_LIMITS and rule["limit"] is not None and account in (None, rule["account"])
    ]
