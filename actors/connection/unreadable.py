"""Payloads that cannot be read: counted, told, and made good by reads."""

from __future__ import annotations

from collections.abc import Callable

from actors.clock import Clock
from actors.connection.translate import Malformed
from actors.logs import get_logger
from actors.messages import AccountId

READ_EVERY = 1.0
"""Seconds between two rounds of reads that unreadable events cause."""

type Later = Callable[[float, Callable[[], None]], object]


class Unreadable:
    """`alert` takes level, key and sentence; `read_all` reads every account for a reason."""

    def __init__(
        self,
        clock: Clock,
        later: Later,
        alert: Callable[[str, str, str], None],
        read_all: Callable[[str], None],
    ) -> None:
        self._clock, self._later, self._alert, self._read_all = clock, later, alert, read_all
        self._due = 0.0
        self.count = 0
        """Since the start."""
        self._log = get_logger("riskd.connection")

    def price(self, error: Malformed) -> None:
        """A market event: the next one brings the price."""
        self.count += 1
        self._log.debug("gateway.price_not_readable", reason=str(error))

    def event(self, error: Malformed) -> None:
        """A user event may have been a fill: read the accounts instead."""
        self.count += 1
        now = self._clock.mono()
        if now < self._due:
            return
        self._due = now + READ_EVERY
        self._log.error("gateway.payload_not_read", reason=str(error), count=self.count)
        self._alert("warning", f"malformed/{error.what}", f"The gateway sent something unreadable: {error}")
        self._read_all("malformed event")
        counted = self.count
        # What is malformed within this second is covered by one more read at its end.
        self._later(READ_EVERY, lambda: self._once_more(counted))

    def _once_more(self, counted: int) -> None:
        if self.count > counted:
            self._read_all("malformed events")

    def read(self, account: AccountId, error: Malformed) -> None:
        """The answer to a read: the steady reads go on."""
        self.count += 1
        self._alert("error", f"malformed/{error.what}", f"Account {account} is not readable: {error}")
