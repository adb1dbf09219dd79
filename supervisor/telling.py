"""Answers about what the guard tells others: metrics, alerts, and the figures of past days.

They join the others in `HANDLERS`, which is complete once this page is imported.
"""

from __future__ import annotations

import msgspec

from actors.notices.actor import TestAlerts, Tried
from actors.notices.outbox import ANSWER_S, GAP_S
from supervisor.handlers import Call, Daemon
from supervisor.metrics import MetricsServer
from supervisor.protocol import Nothing
from supervisor.readings import GuardReadings
from supervisor.records import HANDLERS

__all__ = ["HANDLERS"]

TEST_S = GAP_S + ANSWER_S + 5.0
"""A test message may wait for the gap behind the one before it, and then for the slowest target."""


def _headed(daemon: Daemon, **parts: object) -> dict[str, object]:
    return {"schema": 1, "at": daemon.now().wall, **parts}


@HANDLERS.on("metrics", Nothing)
async def metrics(context: Call, request: Nothing) -> object:
    """One scrape, as the loopback port gives it."""
    daemon = context.parts
    return _headed(daemon, text=MetricsServer(GuardReadings(daemon.program, daemon.process)).text())


@HANDLERS.on("alerts.test", Nothing)
async def alerts_test(context: Call, request: Nothing) -> object:
    """A test message to every target; how each of them took it."""
    tried = await context.parts.ask("notices", TestAlerts(), TEST_S)
    channels = msgspec.convert(tried, tuple[Tried, ...])
    shown = [{"to": one.to, "outcome": one.outcome, "sent": one.sent} for one in channels]
    return _headed(context.parts, channels=shown)
