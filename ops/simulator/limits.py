"""The gateway's rate limits: so many requests in a sliding window."""

from collections import deque


class Window:
    """At most `allowed` requests in any `seconds`; None allows everything. Times are monotonic seconds.

    Refused requests are not counted: what the real gateway does is not documented, and this is the kinder
    reading.
    """

    def __init__(self, allowed: int | None, seconds: float) -> None:
        self.allowed = allowed
        self.seconds = seconds
        self._taken: deque[float] = deque()

    def take(self, mono: float) -> bool:
        self._forget(mono)
        if self.allowed is not None and len(self._taken) >= self.allowed:
            return False
        self._taken.append(mono)
        return True

    def used(self, mono: float) -> int:
        self._forget(mono)
        return len(self._taken)

    def wait(self, mono: float) -> float:
        """Seconds until the next request would be let through."""
        self._forget(mono)
        if self.allowed is None or len(self._taken) < self.allowed or not self._taken:
            return 0.0
        return self._taken[0] + self.seconds - mono

    def _forget(self, mono: float) -> None:
        while self._taken and self._taken[0] <= mono - self.seconds:
            self._taken.popleft()
