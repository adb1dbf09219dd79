"""What time the gateway thinks it is.

Every timestamp the simulator sends comes from the one clock handed to it, so that a daemon under a moved
test clock and its gateway stamp the same time. Rate limits and call stamps use the monotonic side, which
is never moved.
"""

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """A wall clock in aware UTC and a monotonic one in seconds."""

    def wall(self) -> datetime: ...

    def mono(self) -> float: ...


class ShiftedClock:
    """The machine's clock, its wall side moved by a fixed offset."""

    def __init__(self, offset: timedelta = timedelta(0)) -> None:
        self.offset = offset

    def wall(self) -> datetime:
        return datetime.now(UTC) + self.offset

    def mono(self) -> float:
        return time.monotonic()


def clock_of(setting: str | None, now: datetime) -> ShiftedClock:
    """The clock RISKD_TEST_CLOCK asks for: an ISO instant with its zone, or an offset in seconds.

    Raises ValueError for anything else: a clock nobody understood must not quietly be the real one.
    """
    if not setting:
        return ShiftedClock()
    try:
        return ShiftedClock(timedelta(seconds=float(setting)))
    except ValueError:
        pass
    except OverflowError as error:
        raise ValueError(f"{setting} is beyond any calendar") from error
    instant = datetime.fromisoformat(setting)
    if instant.tzinfo is None:
        raise ValueError(f"{setting} names no time zone")
    return ShiftedClock(instant - now)
