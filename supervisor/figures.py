"""The guard in figures: what `status`, the watchdog's page and the metrics show of how it keeps up."""

from __future__ import annotations

from collections.abc import Mapping

from actors.board import Board
from actors.clock import Clock
from actors.enforcement.view import EnforcementView
from actors.tally import Tally, percentile
from supervisor.answers import Latency, Percentiles
from supervisor.arming import Armed
from supervisor.driver import Supervisor


class Figures:
    """How many rules run, how old the oldest message is, how long a breach took to its first call."""

    def __init__(
        self,
        clock: Clock,
        board: Board,
        supervisor: Supervisor,
        armed: Mapping[str, Armed],
        given_up: Mapping[str, str],
    ) -> None:
        self._clock, self._board, self._supervisor = clock, board, supervisor
        self._armed, self._given_up = armed, given_up
        self._scanned = clock.mono()

    def scanned(self, now: float) -> None:
        """The supervisor's scan is through, at this monotonic second."""
        self._scanned = now

    def scan_age_s(self) -> float:
        """Seconds since the supervisor's last scan."""
        return self._clock.mono() - self._scanned

    def coverage(self) -> tuple[int, int]:
        """Rules whose actor runs, and rules configured."""
        running = sum(
            f"account/{name}/rules/{built.name}" not in self._given_up
            for name, armed in self._armed.items()
            for built in armed.guarded.rules
            if built.number
        )
        return running, sum(armed.configured for armed in self._armed.values())

    def slowness(self) -> tuple[float, str, float]:
        """Age of the oldest waiting message in ms, and who is longest in a handler, with its ms."""
        oldest = slowest_ms = 0.0
        slowest = ""
        for handle in list(self._supervisor.handles.values()):
            oldest = max(oldest, handle.oldest_s())
            busy_ms = handle.busy_s() * 1000
            if busy_ms > slowest_ms:
                slowest, slowest_ms = handle.id, busy_ms
        return oldest * 1000, slowest, slowest_ms

    def latency(self) -> Latency:
        """Percentiles in ms over the last receipts and events of all accounts."""
        calls = [
            receipt.breach_to_call_ms
            for name in self._armed
            if (view := self._board.read(("enforcement", name), EnforcementView)) is not None
            for receipt in view.receipts
            if receipt.breach_to_call_ms is not None
        ]
        ages = [
            seconds * 1e3
            for name in self._armed
            if (tally := self._board.read(("tally", "account", name), Tally)) is not None
            and (spans := tally.spans().get(("event_age",))) is not None
            for seconds in list(spans.recent)
        ]
        return Latency(_percentiles(ages), _percentiles(calls))


def _percentiles(ms: list[float]) -> Percentiles:
    p50, p99 = percentile(ms, 0.5), percentile(ms, 0.99)
    return Percentiles() if p50 is None or p99 is None else Percentiles(round(p50, 3), round(p99, 3))
