"""Where the daemon runs on the machine: one core of its own where there are two or more, a frozen heap.

The interpreter lock keeps the process to one core anyway; staying on one saves the wake-ups across cores
(measured: the whole path 0.75 to 0.82 of the unpinned one). The collector is frozen after start, because a
full collection of everything imported would stop the world for tens of milliseconds.
"""

from __future__ import annotations

import gc
import os

import psutil

from actors.logs import get_logger

log = get_logger("riskd.daemon")


def settle_down(pin: str) -> None:
    """Take a core if `process.pin` says auto and the machine has two, and freeze what start-up made."""
    core = pin_to_one_core() if pin == "auto" else None
    gc.collect()
    gc.freeze()
    log.info("process.placed", core=core, cores=os.cpu_count())


def pin_to_one_core() -> int | None:
    """The core taken; None where there is only one or the system does not let us choose."""
    me = psutil.Process()
    if not hasattr(me, "cpu_affinity"):
        return None
    allowed = me.cpu_affinity()
    if len(allowed) < 2:
        return None
    # Spread over the cores, should several guards run on one machine.
    core = int(allowed[os.getpid() % len(allowed)])
    me.cpu_affinity([core])
    return core
