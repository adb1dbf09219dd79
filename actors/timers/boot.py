"""Which boot of the machine this is: monotonic seconds can be compared within one boot only."""

from __future__ import annotations

from pathlib import Path

import psutil

_LINUX = Path("/proc/sys/kernel/random/boot_id")


def boot_id() -> str:
    """An id that changes when the machine restarts.

    Elsewhere than on Linux it is the time of the boot, which also changes when the clock is set: then the
    gateway has to be heard again, which errs towards keeping a lock.
    """
    try:
        return _LINUX.read_text().strip()
    except OSError:
        return f"{psutil.boot_time():.0f}"
