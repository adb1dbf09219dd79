"""What the program hears from its supervisor."""

from typing import Protocol

import msgspec

from supervisor.events import Report
from supervisor.handle import DeadLetter


class Hooks(Protocol):
    """All are called from the main thread, between two scans, in the order things happened."""

    def report(self, report: Report) -> None:
        """A start, an exit, a restart, a failed one, a give-up."""
        ...

    def refused(self, name: str, message: object) -> None:
        """A full mailbox refused this message; its sender does not know."""
        ...

    def dead_letter(self, letter: DeadLetter) -> None:
        """A message will not be handled."""
        ...

    def must_restart(self, reason: str) -> None:
        """This process cannot be kept sound and has to be replaced; said once."""
        ...

    def scanned(self, now: float) -> None:
        """The scan is through: the moment to beat."""
        ...


class SilentHooks:
    """Hooks that do nothing; the base for those who want only some of them."""

    def report(self, report: Report) -> None:
        pass

    def refused(self, name: str, message: object) -> None:
        pass

    def dead_letter(self, letter: DeadLetter) -> None:
        pass

    def must_restart(self, reason: str) -> None:
        pass

    def scanned(self, now: float) -> None:
        pass


class ReportGate:
    """Keeps a restart storm out of the log: at most `limit` reports per child and second, the rest counted.

    A give-up or an escalation always passes, and carries the count.
    """

    def __init__(self, limit: int = 20, period_s: float = 1.0) -> None:
        self._limit = limit
        self._period_s = period_s
        self._windows: dict[str, tuple[float, int, int]] = {}  # id -> window start, passed, suppressed

    def admit(self, now: float, report: Report) -> Report | None:
        """The report to pass on, or None."""
        start, passed, suppressed = self._windows.get(report.id, (now, 0, 0))
        if now - start >= self._period_s:
            start, passed = now, 0
        if passed >= self._limit and report.kind not in ("gave_up", "escalated"):
            self._windows[report.id] = (start, passed, suppressed + 1)
            return None
        self._windows[report.id] = (start, passed + 1, 0)
        return msgspec.structs.replace(report, suppressed=suppressed) if suppressed else report
