"""`python -P -m ops.watchdog --home HOME [--heartbeat-deadline S] [--memory-limit-mb N] [--restarted] -- …`

What stands after -- goes to the daemon as it is. Started by `riskd up`, by the daemon when it has lost its
watchdog, and by a service unit: that one with `--restarted`, so that the daemon runs on the configuration in
force whatever the file says, and keeps trying where a first start would be refused.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import filelock

from actors.clock import clock_from
from ops.watchdog.loop import Watchdog
from ops.watchdog.notify import VARIABLE
from ops.watchdog.process import Process
from ops.watchdog.starting import launch
from ops.watchdog.verdict import Limits
from supervisor.home import Home
from supervisor.identity import recorded

TAKE_OVER_S = 5.0


def main(argv: Sequence[str]) -> int:
    own, daemon = _split(argv)
    parser = argparse.ArgumentParser(prog="python -m ops.watchdog")
    parser.add_argument("--home", required=True, type=Path)
    parser.add_argument("--heartbeat-deadline", type=float, default=3.0, metavar="S")
    parser.add_argument("--memory-limit-mb", type=float, default=500.0, metavar="N")
    parser.add_argument("--restarted", action="store_true", help="the first start counts as a restart")
    options = parser.parse_args(own)
    home = Home(options.home.absolute())
    home.make()
    limits = Limits(heartbeat_s=options.heartbeat_deadline, memory_mb=options.memory_limit_mb)
    clock = clock_from(os.environ)
    wait_s = TAKE_OVER_S if make_room(home, os.environ) else 0.0
    try:
        with filelock.FileLock(home.watchdog_lock, timeout=wait_s):
            how = launch(home, daemon)
            return Watchdog(home, how, limits, clock, restarted=options.restarted).run()
    except filelock.Timeout:
        sys.stderr.write(f"cannot watch {home.folder}: another watchdog does.\n")
        return 1


def make_room(home: Home, environment: Mapping[str, str]) -> bool:
    """A unit's own watchdog takes the place of one that the daemon brought back: the unit follows no other.

    The daemon runs on and is adopted. True where there was one to end.
    """
    other = recorded(home.watchdog) if VARIABLE in environment else None
    if other is None:
        return False
    with suppress(ProcessLookupError):
        found = Process(other)
        found.send(signal.SIGKILL)
        found.close()
    return True


def _split(argv: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    if "--" not in argv:
        return argv, ()
    at = list(argv).index("--")
    return argv[:at], argv[at + 1 :]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
