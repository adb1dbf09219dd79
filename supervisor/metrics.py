"""Metrics as Prometheus text and two health pages, on a loopback port where `metrics.port` names one.

Everything is taken off what the actors last published; a scrape wakes nobody. `/healthz` answers 200
while the supervisor scans, `/readyz` while it guards; neither shows money or names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import trio
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from actors.logs import get_logger
from supervisor.answers import Status

log = get_logger("riskd.metrics")

REQUEST_S = 2.0
"""From connecting to the end of the request's head."""
MOST_BYTES = 8192
STATES = ("safe_mode", "blind", "degraded", "locked", "guarding")


class GuardCollector(Collector):
    """One scrape: the status of this moment as metric families."""

    def __init__(self, status: Callable[[], Status], restarts: Callable[[], int]) -> None:
        self._status, self._restarts = status, restarts

    def collect(self) -> Iterable[Metric]:
        status = self._status()
        state = GaugeMetricFamily("riskd_state", "1 for the state the guard is in", labels=["state"])
        for name in STATES:
            state.add_metric([name], float(status.state == name))
        yield state
        yield GaugeMetricFamily(
            "riskd_link_live", "1 while the link is live", float(status.link.state == "live")
        )
        yield GaugeMetricFamily("riskd_link_generation", "Connections made so far", status.link.generation)
        yield CounterMetricFamily("riskd_actor_restarts", "Restarts of actors", self._restarts())
        yield CounterMetricFamily("riskd_daemon_restarts", "Restarts of the daemon", status.daemon.restarts)
        yield CounterMetricFamily("riskd_dead_letters", "Messages nobody could handle", status.dead_letters)
        yield GaugeMetricFamily("riskd_memory_megabytes", "Resident memory", status.daemon.memory_mb)
        yield from self._rules(status)
        yield from self._accounts(status)

    def _rules(self, status: Status) -> Iterable[Metric]:
        counts = GaugeMetricFamily("riskd_rules", "Rules by what they do", labels=["mode"])
        for mode in ("configured", "armed", "shadow", "off"):
            counts.add_metric([mode], getattr(status.rules, mode))
        yield counts
        uncovered = CounterMetricFamily(
            "riskd_uncovered_milliseconds", "Time nobody judged", labels=["account", "rule"]
        )
        used = GaugeMetricFamily("riskd_limit_used_ratio", "Share of the limit", labels=["account", "rule"])
        for account in status.accounts:
            for rule in account.rules:
                uncovered.add_metric([account.name, rule.rule], rule.uncovered_ms)
                if rule.used is not None:
                    used.add_metric([account.name, rule.rule], rule.used)
        yield uncovered
        yield used

    def _accounts(self, status: Status) -> Iterable[Metric]:
        net = GaugeMetricFamily("riskd_net_dollars", "The day's realized and open P&L", labels=["account"])
        lockouts = GaugeMetricFamily("riskd_lockouts", "Lockouts in force", labels=["account"])
        attempts = CounterMetricFamily("riskd_attempts", "New risk met while locked", labels=["account"])
        for account in status.accounts:
            net.add_metric([account.name], float(account.net))
            lockouts.add_metric([account.name], len(account.lockouts))
            attempts.add_metric([account.name], account.attempts)
        yield net
        yield lockouts
        yield attempts


class MetricsServer:
    """Three pages over plain HTTP on 127.0.0.1, one request per connection."""

    def __init__(
        self, status: Callable[[], Status], restarts: Callable[[], int], scan_age_s: Callable[[], float]
    ) -> None:
        self._status, self._scan_age_s = status, scan_age_s
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(GuardCollector(status, restarts))

    async def serve(
        self, port: int, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Serve until cancelled. Raises OSError where the port is taken."""
        listeners = await trio.open_tcp_listeners(port, host="127.0.0.1")
        task_status.started()
        await trio.serve_listeners(self._answer, listeners)

    async def _answer(self, stream: trio.SocketStream) -> None:
        try:
            async with stream:
                with trio.move_on_after(REQUEST_S):
                    head = await _head(stream)
                    code, kind, body = self.page(_path(head))
                    await stream.send_all(_response(code, kind, body))
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            log.debug("metrics.hung_up")

    def page(self, path: str) -> tuple[int, str, bytes]:
        """Code, content type and body of one page."""
        match path:
            case "/metrics":
                return 200, "text/plain; version=0.0.4; charset=utf-8", generate_latest(self._registry)
            case "/healthz":
                fresh = self._scan_age_s() < 1.0
                return (200, "text/plain", b"ok\n") if fresh else (503, "text/plain", b"the scan is late\n")
            case "/readyz":
                state = self._status().state
                guards = state in ("guarding", "locked")
                return (200 if guards else 503), "text/plain", f"{state}\n".encode()
            case _:
                return 404, "text/plain", b"/metrics, /healthz or /readyz\n"


async def _head(stream: trio.SocketStream) -> bytes:
    head = b""
    while b"\r\n\r\n" not in head and len(head) < MOST_BYTES:
        part = await stream.receive_some(MOST_BYTES - len(head))
        if not part:
            break
        head += part
    return head


def _path(head: bytes) -> str:
    words = head.split(b"\r\n", 1)[0].split(b" ")
    return (
        words[1].split(b"?")[0].decode("ascii", "replace") if len(words) == 3 and words[0] == b"GET" else ""
    )


def _response(code: int, kind: str, body: bytes) -> bytes:
    words = {200: "OK", 404: "Not Found", 503: "Service Unavailable"}
    head = (
        f"HTTP/1.1 {code} {words[code]}\r\nContent-Type: {kind}\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body
