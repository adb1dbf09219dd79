"""Metrics as Prometheus text and two health pages, on a loopback port where `metrics.port` names one.

Everything is taken off what the actors last published and counted; a scrape wakes nobody. `/healthz`
answers 200 while the supervisor scans, `/readyz` while it guards; neither shows money or names.
"""

from __future__ import annotations

import trio
from prometheus_client import CollectorRegistry, generate_latest

from actors.logs import get_logger
from supervisor.gauges import GuardCollector, Readings
from supervisor.request_gauges import RequestCollector

log = get_logger("riskd.metrics")

REQUEST_S = 2.0
"""From connecting to the end of the request's head."""
MOST_BYTES = 8192
SCAN_LATE_S = 1.0
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
READY = ("guarding", "locked")


class MetricsServer:
    """Three pages over plain HTTP on 127.0.0.1, one request per connection."""

    def __init__(self, readings: Readings) -> None:
        self._readings = readings
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(GuardCollector(readings))
        self._registry.register(RequestCollector(readings.traffic))

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

    def text(self) -> str:
        """One scrape."""
        return generate_latest(self._registry).decode()

    def page(self, path: str) -> tuple[int, str, bytes]:
        """Code, content type and body of one page."""
        match path:
            case "/metrics":
                return 200, CONTENT_TYPE, self.text().encode()
            case "/healthz":
                fresh = self._readings.scan_age_s() < SCAN_LATE_S
                return (200, "text/plain", b"ok\n") if fresh else (503, "text/plain", b"the scan is late\n")
            case "/readyz":
                status = self._readings.status()
                if status.state in READY:
                    return 200, "text/plain", f"{status.state}\n".encode()
                # Codes only: the texts name accounts.
                why = ", ".join(dict.fromkeys(reason.code for reason in status.reasons))
                return 503, "text/plain", f"{status.state}: {why}\n".encode()
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
