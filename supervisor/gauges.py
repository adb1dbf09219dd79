"""One scrape of the guard as metric families: the status of this moment, and what its actors counted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import accumulate
from typing import Protocol

from msgspec import Struct
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from actors.connection.budget import BudgetView
from actors.connection.traffic import Traffic
from actors.enforcement.counts import DayCounts
from actors.tally import BOUNDS_S, Key, Spans
from supervisor.answers import Account, Status

STATES = ("safe_mode", "blind", "degraded", "locked", "guarding")
LINKS = ("live", "blind", "down")
ACCOUNT_STATES = ("active", "reducing", "locked", "halted")


class Mailbox(Struct, frozen=True):
    """One actor's, at this moment."""

    actor: str
    waiting: int
    oldest_s: float
    restarts: int


class Counted(Struct, frozen=True):
    """What the actors of one account counted since the daemon started, and on the trading day."""

    account: str
    events: Mapping[Key, int]
    event_age: Spans | None
    evaluations: Mapping[str, Spans]
    """By rule: its count is that of the evaluations."""
    enforcement: Mapping[Key, int]
    enforcement_spans: Mapping[Key, Spans]
    day: DayCounts
    opened: int
    """Contracts opened by the day's fills."""
    closed: int
    quote_age_s: float | None
    """Of the stalest open contract; None where nothing is open."""


class Readings(Protocol):
    """Where a scrape reads. Nothing here may wait for anybody."""

    def status(self) -> Status: ...

    def scan_age_s(self) -> float: ...

    def mailboxes(self) -> tuple[Mailbox, ...]: ...

    def counted(self) -> tuple[Counted, ...]: ...

    def budget(self) -> BudgetView | None: ...

    def traffic(self) -> Traffic | None: ...


class GuardCollector(Collector):
    """One scrape."""

    def __init__(self, readings: Readings) -> None:
        self._readings = readings

    def collect(self) -> Iterable[Metric]:
        status, counted = self._readings.status(), self._readings.counted()
        yield from _guard(status, self._readings.scan_age_s())
        yield from _link(status, self._readings.budget())
        yield from _actors(self._readings.mailboxes())
        yield from _accounts(status.accounts)
        yield from _rules(status.accounts)
        yield from _events(counted)
        yield from _enforcement(counted)
        yield from _day(status.accounts, counted)


def _guard(status: Status, scan_age_s: float) -> Iterable[Metric]:
    yield _one_of("riskd_state", "1 for the state the guard is in", STATES, status.state)
    yield GaugeMetricFamily("riskd_scan_age_seconds", "Since the supervisor's last scan", scan_age_s)
    yield CounterMetricFamily("riskd_daemon_restarts", "Restarts of the daemon", status.daemon.restarts)
    yield CounterMetricFamily("riskd_dead_letters", "Messages nobody could handle", status.dead_letters)
    yield GaugeMetricFamily("riskd_memory_megabytes", "Resident memory", status.daemon.memory_mb)
    yield GaugeMetricFamily("riskd_cpu_percent", "Of one core", status.daemon.cpu_percent)
    rules = GaugeMetricFamily("riskd_rules", "Rules by what they do", labels=["mode"])
    for mode in ("configured", "armed", "shadow", "off"):
        rules.add_metric([mode], getattr(status.rules, mode))
    yield rules


def _link(status: Status, budget: BudgetView | None) -> Iterable[Metric]:
    yield _one_of("riskd_link_state", "1 for the state the link is in", LINKS, status.link.state)
    yield GaugeMetricFamily("riskd_link_generation", "Connections made so far", status.link.generation)
    if status.link.last_event_age_s is not None:
        age_s = status.link.last_event_age_s
        yield GaugeMetricFamily("riskd_last_event_age_seconds", "Since the last event of an account", age_s)
    if budget is not None:
        requests = GaugeMetricFamily("riskd_budget_requests", "Request budget of the window", labels=["of"])
        for word in ("used", "requests", "reserved", "waiting"):
            requests.add_metric([word], getattr(budget, word))
        yield requests
        yield CounterMetricFamily("riskd_budget_refused", "Requests answered 429", budget.refused)
        yield GaugeMetricFamily("riskd_budget_hold_seconds", "Standing back after a 429", budget.hold_s)


def _actors(mailboxes: Iterable[Mailbox]) -> Iterable[Metric]:
    depth = GaugeMetricFamily("riskd_mailbox_messages", "Messages waiting", labels=["actor"])
    age = GaugeMetricFamily("riskd_mailbox_age_seconds", "Age of the oldest waiting", labels=["actor"])
    restarts = CounterMetricFamily("riskd_actor_restarts", "Restarts of an actor", labels=["actor"])
    for mailbox in mailboxes:
        depth.add_metric([mailbox.actor], mailbox.waiting)
        age.add_metric([mailbox.actor], mailbox.oldest_s)
        restarts.add_metric([mailbox.actor], mailbox.restarts)
    yield from (depth, age, restarts)


def _accounts(accounts: Iterable[Account]) -> Iterable[Metric]:
    pnl = GaugeMetricFamily("riskd_pnl_dollars", "The day's P&L", labels=["account", "part"])
    states = GaugeMetricFamily("riskd_account_state", "1 for its state", labels=["account", "state"])
    lockouts = GaugeMetricFamily("riskd_lockouts", "Lockouts in force", labels=["account"])
    positions = GaugeMetricFamily("riskd_open_contracts", "Open, without sign", labels=["account", "root"])
    orders = GaugeMetricFamily("riskd_working_orders", "Orders", labels=["account"])
    attempts = CounterMetricFamily("riskd_attempts", "New risk met while locked", labels=["account"])
    for account in accounts:
        for part in ("realized", "unrealized", "net"):
            pnl.add_metric([account.name, part], float(getattr(account, part)))
        for state in ACCOUNT_STATES:
            states.add_metric([account.name, state], float(state == account.state))
        lockouts.add_metric([account.name], len(account.lockouts))
        for position in account.positions:
            positions.add_metric([account.name, position.root], abs(position.size))
        orders.add_metric([account.name], len(account.orders))
        attempts.add_metric([account.name], account.attempts)
    yield from (pnl, states, lockouts, positions, orders, attempts)


def _rules(accounts: Iterable[Account]) -> Iterable[Metric]:
    labels = ["account", "rule"]
    uncovered = CounterMetricFamily("riskd_uncovered_milliseconds", "Time nobody judged", labels=labels)
    used = GaugeMetricFamily("riskd_limit_used_ratio", "Share of the limit", labels=labels)
    headroom = GaugeMetricFamily("riskd_headroom", "What is left, in the rule's own unit", labels=labels)
    breached = GaugeMetricFamily("riskd_rule_breached", "1 while breached or locked", labels=labels)
    for account in accounts:
        for rule in account.rules:
            where = [account.name, rule.rule]
            uncovered.add_metric(where, rule.uncovered_ms)
            breached.add_metric(where, float(rule.state in ("breached", "locked")))
            if rule.used is not None:
                used.add_metric(where, rule.used)
            if (left := _number(rule.headroom)) is not None:
                headroom.add_metric(where, left)
    yield from (uncovered, used, headroom, breached)


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None


def _events(counted: Iterable[Counted]) -> Iterable[Metric]:
    events = CounterMetricFamily("riskd_events", "Events by kind", labels=["account", "kind"])
    age = HistogramMetricFamily(
        "riskd_event_age_seconds", "From the socket to the account", labels=["account"]
    )
    judged = HistogramMetricFamily(
        "riskd_rule_evaluation_seconds", "Judging, without waiting", labels=["account", "rule"]
    )
    quotes = GaugeMetricFamily("riskd_quote_age_seconds", "Of the stalest open contract", labels=["account"])
    for one in counted:
        for key, count in one.events.items():
            events.add_metric([one.account, *key], count)
        if one.event_age is not None:
            add_spans(age, [one.account], one.event_age)
        for rule, spans in one.evaluations.items():
            add_spans(judged, [one.account, rule], spans)
        if one.quote_age_s is not None:
            quotes.add_metric([one.account], one.quote_age_s)
    yield from (events, age, judged, quotes)


def _enforcement(counted: Iterable[Counted]) -> Iterable[Metric]:
    breaches = CounterMetricFamily("riskd_breaches", "Episodes", labels=["account", "rule", "mode"])
    lockouts = CounterMetricFamily("riskd_lockouts_set", "Lockouts set", labels=["account", "rule"])
    calls = CounterMetricFamily("riskd_calls", "Calls by outcome", labels=["account", "call", "outcome"])
    took = HistogramMetricFamily("riskd_call_seconds", "A call's answer", labels=["account", "call"])
    called = HistogramMetricFamily("riskd_breach_to_call_seconds", "To the first call", labels=["account"])
    verified = HistogramMetricFamily(
        "riskd_breach_to_verified_seconds", "To the account seen to comply", labels=["account"]
    )
    families = {"breach": breaches, "lockout": lockouts, "call": calls}
    spans = {"call": took, "breach_to_call": called, "breach_to_verified": verified}
    for one in counted:
        for (kind, *words), count in one.enforcement.items():
            families[kind].add_metric([one.account, *words], count)
        for (kind, *words), span in one.enforcement_spans.items():
            add_spans(spans[kind], [one.account, *words], span)
    yield from (*families.values(), *spans.values())


def _day(accounts: Iterable[Account], counted: Iterable[Counted]) -> Iterable[Metric]:
    """Counts of the trading day: gauges, because the reset sets them to zero."""
    breaches = GaugeMetricFamily("riskd_day_breaches", "Today's", labels=["account", "rule", "mode"])
    calls = GaugeMetricFamily("riskd_day_enforcement", "Today's", labels=["account", "call", "outcome"])
    lockouts = GaugeMetricFamily("riskd_day_lockouts", "Today's", labels=["account", "rule"])
    opened = GaugeMetricFamily("riskd_day_opened_contracts", "Contracts opened today", labels=["account"])
    closed = GaugeMetricFamily("riskd_day_closed_contracts", "Contracts closed today", labels=["account"])
    cancelled = GaugeMetricFamily("riskd_day_cancelled_orders", "By the guard, today", labels=["account"])
    trades = GaugeMetricFamily("riskd_day_trades", "Executions today", labels=["account"])
    for account in accounts:
        trades.add_metric([account.name], account.trades)
    for one in counted:
        for words, count in one.day.breaches.items():
            breaches.add_metric([one.account, *words], count)
        for words, count in one.day.calls.items():
            calls.add_metric([one.account, *words], count)
        for rule, count in one.day.lockouts.items():
            lockouts.add_metric([one.account, rule], count)
        opened.add_metric([one.account], one.opened)
        closed.add_metric([one.account], one.closed)
        cancelled.add_metric([one.account], one.day.cancelled)
    yield from (breaches, calls, lockouts, opened, closed, cancelled, trades)


def _one_of(name: str, help_: str, words: Iterable[str], present: str) -> Metric:
    family = GaugeMetricFamily(name, help_, labels=["state"])
    for word in words:
        family.add_metric([word], float(word == present))
    return family


def add_spans(family: HistogramMetricFamily, labels: list[str], spans: Spans) -> None:
    """Add one series of a histogram."""
    counts = list(accumulate(spans.buckets))
    bounds = [*map(str, BOUNDS_S), "+Inf"]
    family.add_metric(labels, list(zip(bounds, counts, strict=True)), spans.total_s)
