"""Metrics and health pages: what a monitor reads, over a real loopback connection."""

from __future__ import annotations

import socket
from datetime import UTC, datetime

import msgspec
import pytest
import trio

from actors.connection.breaker import Broken
from actors.connection.budget import BudgetView
from actors.connection.traffic import Series, Traffic
from actors.enforcement.counts import DayCounts
from actors.tally import Spans
from supervisor import answers
from supervisor.gauges import Counted, Mailbox
from supervisor.metrics import MetricsServer

NOON = datetime(2026, 3, 4, 18, tzinfo=UTC)
RULE = answers.RuleStanding(
    "daily_realized_loss", "armed", "ok", "-100.00", "-500.00", 0.2, "400.00", None, 12.5
)
ACCOUNT = answers.Account(
    1001, "A", "active", True, "-100.00", "0.00", "-100.00", 2, (), (), (), (RULE,), 3, None
)
STATUS = answers.Status(
    1, NOON, "guarding", (), (), (), None, 4,
    answers.DaemonFacts(1, NOON, "0.1.0", 2, 120.0, 1.0),
    answers.WatchdogFacts(2),
    answers.LinkFacts("live", NOON, 3, 0.1),
    answers.RuleCounts(14, 13, 1, 0),
    answers.Latency(),
    (ACCOUNT,),
)  # fmt: skip


def spans(*seconds: float) -> Spans:
    made = Spans()
    for one in seconds:
        made.add(one)
    return made


COUNTED = Counted(
    account="A",
    events={("Filled",): 5},
    event_age=spans(0.0002),
    evaluations={"daily_realized_loss": spans(0.000005, 0.02)},
    enforcement={
        ("breach", "daily_realized_loss", "armed"): 2,
        ("call", "close", "confirmed"): 3,
        ("lockout", "daily_realized_loss"): 1,
    },
    enforcement_spans={("breach_to_call",): spans(0.002), ("call", "close"): spans(0.05)},
    day=DayCounts(
        {("daily_realized_loss", "armed"): 2}, {("cancel", "confirmed"): 4}, {"daily_realized_loss": 1}
    ),
    opened=6,
    closed=5,
    quote_age_s=0.75,
)


class Seen(msgspec.Struct, frozen=True):
    """One moment of a guard, as values."""

    now: answers.Status = STATUS
    age_s: float = 0.05

    def status(self) -> answers.Status:
        return self.now

    def scan_age_s(self) -> float:
        return self.age_s

    def mailboxes(self) -> tuple[Mailbox, ...]:
        return (Mailbox("timers", 3, 0.5, 7),)

    def counted(self) -> tuple[Counted, ...]:
        return (COUNTED,)

    def budget(self) -> BudgetView | None:
        return BudgetView(12, 200, 60.0, 40, 1, 2, 0.0)

    def traffic(self) -> Traffic | None:
        series = Series("Trade/search", "reconcile", "refused", "1", spans(0.0), spans(0.04, 0.2))
        return Traffic((series,), (Broken("Contract/search", 6, 900.0, None, 30.0),))


def server(status: answers.Status = STATUS, scan_age_s: float = 0.05) -> MetricsServer:
    return MetricsServer(Seen(status, scan_age_s))


@pytest.mark.parametrize(
    "line",
    [
        'riskd_state{state="guarding"} 1.0',
        'riskd_state{state="blind"} 0.0',
        'riskd_actor_restarts_total{actor="timers"} 7.0',
        'riskd_mailbox_messages{actor="timers"} 3.0',
        'riskd_mailbox_age_seconds{actor="timers"} 0.5',
        'riskd_link_state{state="live"} 1.0',
        'riskd_budget_requests{of="used"} 12.0',
        "riskd_budget_refused_total 2.0",
        'riskd_events_total{account="A",kind="Filled"} 5.0',
        'riskd_event_age_seconds_bucket{account="A",le="0.0003"} 1.0',
        'riskd_rule_evaluation_seconds_bucket{account="A",le="0.01",rule="daily_realized_loss"} 1.0',
        'riskd_rule_evaluation_seconds_count{account="A",rule="daily_realized_loss"} 2.0',
        'riskd_quote_age_seconds{account="A"} 0.75',
        'riskd_headroom{account="A",rule="daily_realized_loss"} 400.0',
        'riskd_breaches_total{account="A",mode="armed",rule="daily_realized_loss"} 2.0',
        'riskd_calls_total{account="A",call="close",outcome="confirmed"} 3.0',
        'riskd_call_seconds_sum{account="A",call="close"} 0.05',
        'riskd_breach_to_call_seconds_count{account="A"} 1.0',
        'riskd_lockouts_set_total{account="A",rule="daily_realized_loss"} 1.0',
        'riskd_day_breaches{account="A",mode="armed",rule="daily_realized_loss"} 2.0',
        'riskd_day_enforcement{account="A",call="cancel",outcome="confirmed"} 4.0',
        'riskd_day_cancelled_orders{account="A"} 4.0',
        'riskd_day_opened_contracts{account="A"} 6.0',
        'riskd_day_closed_contracts{account="A"} 5.0',
        'riskd_day_trades{account="A"} 2.0',
        "riskd_dead_letters_total 4.0",
        'riskd_uncovered_milliseconds_total{account="A",rule="daily_realized_loss"} 12.5',
        'riskd_limit_used_ratio{account="A",rule="daily_realized_loss"} 0.2',
        'riskd_pnl_dollars{account="A",part="net"} -100.0',
        'riskd_attempts_total{account="A"} 3.0',
        'riskd_rules{mode="armed"} 13.0',
        'riskd_endpoint_left_alone{endpoint="Contract/search"} 1.0',
    ],
)
def test_metrics_show_what_status_shows(line: str) -> None:
    code, kind, body = server().page("/metrics")

    assert (code, kind.split(";")[0]) == (200, "text/plain")
    assert line in body.decode().splitlines()


@pytest.mark.parametrize(
    ("name", "bound", "value"),
    [("seconds_bucket", ',le="0.1"', 1.0), ("seconds_count", "", 2.0), ("wait_seconds_count", "", 1.0)],
)
def test_metrics_show_what_requests_cost(name: str, bound: str, value: float) -> None:
    lines = server().text().splitlines()
    words = f'code="1",endpoint="Trade/search",lane="reconcile"{bound},outcome="refused"'
    assert f"riskd_request_{name}{{{words}}} {value}" in lines


@pytest.mark.parametrize(
    ("path", "state", "scan_age_s", "code"),
    [
        ("/healthz", "blind", 0.05, 200),
        ("/healthz", "guarding", 1.5, 503),
        ("/readyz", "guarding", 0.05, 200),
        ("/readyz", "locked", 0.05, 200),
        ("/readyz", "blind", 0.05, 503),
        ("/readyz", "degraded", 0.05, 503),
        ("/else", "guarding", 0.05, 404),
    ],
)
def test_health_pages_answer_with_their_code_and_without_money_or_names(
    path: str, state: str, scan_age_s: float, code: int
) -> None:
    answered, _, body = server(msgspec.structs.replace(STATUS, state=state), scan_age_s).page(path)

    assert answered == code
    assert b"100" not in body
    assert b"PRAC" not in body


def test_not_ready_says_why_by_code() -> None:
    reason = answers.Reason("link_blind", "no live events: hub closed on PRAC-1", NOON)
    blind = msgspec.structs.replace(STATUS, state="blind", reasons=(reason, reason))

    assert server(blind).page("/readyz")[2] == b"blind: link_blind\n"


@pytest.mark.trio
async def test_pages_are_served_on_loopback_and_garbage_is_answered_not_found() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    async with trio.open_nursery() as nursery:
        await nursery.start(server().serve, port)
        found = await ask(port, b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")
        garbage = await ask(port, b"\x00\xff nonsense\r\n\r\n")
        nursery.cancel_scope.cancel()

    assert found.startswith(b"HTTP/1.1 200 OK")
    assert found.endswith(b"guarding\n")
    assert garbage.startswith(b"HTTP/1.1 404")


async def ask(port: int, request: bytes) -> bytes:
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        await stream.send_all(request)
        answer = b""
        while part := await stream.receive_some(4096):
            answer += part
        return answer
