"""Metrics and health pages: what a monitor reads, over a real loopback connection."""

from __future__ import annotations

import socket
from datetime import UTC, datetime

import msgspec
import pytest
import trio

from supervisor import answers
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


def server(status: answers.Status = STATUS, scan_age_s: float = 0.05) -> MetricsServer:
    return MetricsServer(lambda: status, lambda: 7, lambda: scan_age_s)


@pytest.mark.parametrize(
    "line",
    [
        'riskd_state{state="guarding"} 1.0',
        'riskd_state{state="blind"} 0.0',
        "riskd_actor_restarts_total 7.0",
        "riskd_dead_letters_total 4.0",
        'riskd_uncovered_milliseconds_total{account="A",rule="daily_realized_loss"} 12.5',
        'riskd_limit_used_ratio{account="A",rule="daily_realized_loss"} 0.2',
        'riskd_net_dollars{account="A"} -100.0',
        'riskd_attempts_total{account="A"} 3.0',
        'riskd_rules{mode="armed"} 13.0',
    ],
)
def test_metrics_show_what_status_shows(line: str) -> None:
    code, kind, body = server().page("/metrics")

    assert (code, kind.split(";")[0]) == (200, "text/plain")
    assert line in body.decode().splitlines()


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
