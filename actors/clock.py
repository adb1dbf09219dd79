"""The one clock. Nothing in the program asks the machine for the time except through a `Clock` handed in.

`wall()` is the civil time that lockouts, sessions and resets are computed from; `mono()` only ever measures
spans (deadlines, ages, back-off) and is untouched by clock changes.
"""

import threading
import time
from collections.abc import Callable, MutableMapping
from datetime import UTC, datetime, timedelta
from typing import Protocol

TEST_CLOCK = "RISKD_TEST_CLOCK"


class Clock(Protocol):
    """Where the program gets its time from."""

    def wall(self) -> datetime:
        """The civil instant now, aware, in UTC."""
        ...

    def mono(self) -> float:
        """Seconds on a clock that never jumps; only differences mean anything."""
        ...


class SystemClock:
    """The machine's clocks; `offset_s` moves the wall clock only (test clock, contract section 5)."""

    mono: Callable[[], float]

    def __init__(self, offset_s: float = 0.0) -> None:
        self.offset_s = offset_s
        # The C function itself: every message is stamped twice, a Python frame around it would double that.
        self.mono = time.monotonic

    def wall(self) -> datetime:
        now = datetime.now(UTC)
        return now + timedelta(seconds=self.offset_s) if self.offset_s else now


def clock_from(environ: MutableMapping[str, str]) -> SystemClock:
    """The clock this process runs on: the machine's, moved by `RISKD_TEST_CLOCK` where that is set.

    An instant becomes an offset to the real clock here, once, and is written back, so that children and
    replacements inherit the offset and not the instant. Raises ValueError for text that is neither.
    """
    text = environ.get(TEST_CLOCK, "").strip()
    if not text:
        return SystemClock()
    offset_s = parse_offset(text, datetime.now(UTC))
    environ[TEST_CLOCK] = f"{offset_s:+.6f}"
    return SystemClock(offset_s)


def parse_offset(text: str, now: datetime) -> float:
    """Seconds from `now` to what `RISKD_TEST_CLOCK` says: a signed number of seconds or an ISO instant."""
    try:
        return float(text)
    except ValueError:
        pass
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(
            f"cannot use {TEST_CLOCK}={text!r}: neither an instant nor seconds. "
            "Write 2026-03-02T14:29:50Z or +3600."
        ) from None
    if instant.tzinfo is None:
        raise ValueError(f"cannot use {TEST_CLOCK}={text!r}: no zone. Append Z for UTC.")
    return (instant - now).total_seconds()


class ManualClock:
    """A clock that stands still until a test moves it. Safe to read and move from any thread."""

    def __init__(self, start: datetime) -> None:
        if start.tzinfo is None:
            raise ValueError(f"cannot start a clock at {start}: no zone. Pass an aware datetime.")
        self._wall = start.astimezone(UTC)
        self._mono = 1_000.0
        self._moves = 0
        self._changed = threading.Condition()

    def wall(self) -> datetime:
        return self._wall

    def mono(self) -> float:
        return self._mono

    def advance(self, seconds: float) -> None:
        """Let time pass: both clocks move on."""
        if seconds < 0:
            raise ValueError(f"cannot advance by {seconds} s: time does not run backwards. Use jump.")
        with self._changed:
            self._mono += seconds
            self._move(seconds)

    def jump(self, seconds: float) -> None:
        """Set the wall clock forward or back, as an administrator or NTP would; no time passes."""
        with self._changed:
            self._move(seconds)

    def wait_changed(self, timeout_s: float = 5.0) -> bool:
        """Wait (in real time) until the clock is moved again; False when it was not within `timeout_s`."""
        with self._changed:
            seen = self._moves
            return self._changed.wait_for(lambda: self._moves != seen, timeout_s)

    def _move(self, seconds: float) -> None:
        self._wall += timedelta(seconds=seconds)
        self._moves += 1
        self._changed.notify_all()
