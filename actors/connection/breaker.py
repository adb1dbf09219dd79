"""One circuit breaker per read endpoint: what keeps failing is left alone for a while. Pure: `now` comes in.

It saves the budget for what still answers. Whoever must know at once is never stopped by it: protective
calls, logins, verifications and the reads that make the link live do not ask it (`LEFT_ALONE` says who does).
"""

from __future__ import annotations

from msgspec import Struct

from actors.connection.budget import Lane

OPENS_AFTER = 5
"""Failures in a row."""
PROBE_AFTER = 60.0
LEFT_ALONE = frozenset({Lane.RECONCILE, Lane.REST})
"""Lanes whose requests wait until the endpoint may be asked again."""


class Broken(Struct, frozen=True, gc=False):
    """An endpoint that is left alone, for status."""

    endpoint: str
    failures: int
    since_mono: float
    """Monotonic second from which it was left alone."""
    answered_mono: float | None
    """Of its last answer: what is known from it is that old."""
    probe_in_s: float


class Breaker:
    """Closed, open, or open with one probe under way."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self.failures = 0
        self.answered: float | None = None
        self._since: float | None = None
        self._probe_at = 0.0

    @property
    def open(self) -> bool:
        return self._since is not None

    def admits(self, now: float) -> bool:
        """Whether a request may go out; while open that is one probe a minute."""
        if not self.open:
            return True
        if now < self._probe_at:
            return False
        self._probe_at = now + PROBE_AFTER
        return True

    def answered_at(self, now: float) -> None:
        """Any answer closes it: a probe's, or that of a request which did not ask."""
        self.failures, self.answered, self._since = 0, now, None

    def failed(self, now: float) -> None:
        self.failures += 1
        if not self.open and self.failures >= OPENS_AFTER:
            self._since, self._probe_at = now, now + PROBE_AFTER

    def view(self, now: float) -> Broken | None:
        if self._since is None:
            return None
        wait = max(0.0, self._probe_at - now)
        return Broken(self.endpoint, self.failures, self._since, self.answered, wait)
